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
