/**
 * What is wrong with the call itself: a file that is not there, a Raylog that does not run. Said with what to do, and without
 * a code: those of schemas/errors.ts are for images, events and settings.
 */
export class CallError extends Error {
  readonly remedy: string
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CallError'
    this.remedy = remedy
  }
}

const unusable: Readonly<Record<string, string>> = {
  EACCES: 'may not be written by this user',
  EPERM: 'may not be written by this user',
  EROFS: 'is on a file system that is read-only',
  EEXIST: 'is a file, not a folder',
  ENOTDIR: 'is below a file, not a folder',
}

/** A path that the settings name and the system refuses is the caller's to mend, where it would else read as our fault. */
export function asCallError(thrown: unknown): CallError | undefined {
  if (thrown instanceof CallError) return thrown
  if (!(thrown instanceof Error && 'code' in thrown && 'path' in thrown)) return undefined
  const reason = unusable[String(thrown.code)]
  if (!reason) return undefined
  return new CallError(`${thrown.path} ${reason}.`, 'Name another folder with --data, or mend this one.', {
    cause: thrown,
  })
}
