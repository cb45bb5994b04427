/** Takes complete files out of the folder: received, then moved. A file that is killed in between is taken again: same id. */
import { constants } from 'node:fs'
import { access, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Models } from '../../models/port.ts'
import { type RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { type FileRules, type Outcome, receiveLocal } from '../files.ts'
import type { Hints, Intake } from '../intake.ts'
import { moveAway } from './move.ts'
import type { FoundFile } from './scan.ts'

export interface InboxOptions {
  intake: Intake
  rules: FileRules
  models: Pick<Models, 'list'>
  doneFolder: string
  failedFolder: string
  afterwards: 'move' | 'delete'
  logger: Logger
}

type Failure = Extract<Outcome, { error: RaylogError }>

/** What is to be done with a file whose images are durable, or are known to be no good. */
interface Verdict {
  failures: Failure[]
  stored: number
}

/** `later`: a store is away or full, for every file. `stuck`: this one cannot be read or moved. */
export type Taken = 'done' | 'failed' | 'gone' | 'changed' | 'later' | 'stuck'

export function createInbox(options: InboxOptions) {
  const { intake, rules, logger } = options
  /** Files that are received but could not be moved: only that is tried again, and no event is made twice. */
  const unmoved = new Map<string, Verdict & { size: number; mtimeMs: number }>()

  /** A sub-folder with a model's name asks for that model. */
  function hintsOf(name: string): Hints {
    const [folder, ...rest] = name.split('/')
    const isModel = rest.length > 0 && options.models.list().some(({ manifest }) => manifest.name === folder)
    return { source: { kind: 'watch', peer: 'inbox' }, requested: isModel && folder ? [folder] : [] }
  }

  async function receive(file: FoundFile): Promise<Verdict | 'later'> {
    const verdict: Verdict = { failures: [], stored: 0 }
    const label = file.name.split('/').at(-1) ?? file.name
    for await (const outcome of receiveLocal(intake, file.path, label, hintsOf(file.name), rules)) {
      if (!('error' in outcome)) {
        verdict.stored++
        continue
      }
      const { error } = outcome
      // Names of files may be names of people: the log line has none.
      if (error.entry.verdict === 'wait' || rules.signal.aborted) {
        logger.warn({ code: error.code, reason: error.message }, 'a file waits in the inbox')
        return 'later'
      }
      logger.warn({ code: error.code, reason: error.message, bytes: file.size }, 'a file was refused')
      verdict.failures.push(outcome)
    }
    return verdict
  }

  async function putAway(file: FoundFile, { failures, stored }: Verdict): Promise<'done' | 'failed'> {
    const [first] = failures
    if (!first) {
      if (options.afterwards === 'delete') await unlink(file.path)
      else await moveAway(file.path, join(options.doneFolder, file.name))
      return 'done'
    }
    const to = await moveAway(file.path, join(options.failedFolder, file.name))
    const told = ({ file: name, error }: Failure) => {
      const { title, remedy } = error.entry
      return { file: name, code: error.code, title, message: error.message, remedy }
    }
    const { file: _, ...why } = told(first)
    const more = failures.length > 1 || stored > 0 ? { stored, entries: failures.map(told) } : {}
    // Whole or not there: whoever waits for the note reads it at once.
    const note = `${to}.error.json`
    await writeFile(`${note}.part`, `${JSON.stringify({ ...why, ...more }, null, 2)}\n`)
    await rename(`${note}.part`, note)
    return 'failed'
  }

  async function take(file: FoundFile): Promise<Taken> {
    await access(file.path, constants.R_OK)
    const known = unmoved.get(file.name)
    const stillKnown = known?.size === file.size && known.mtimeMs === file.mtimeMs
    const verdict = stillKnown ? known : await receive(file)
    if (verdict === 'later') return 'later'
    const { size, mtimeMs } = await stat(file.path)
    if (size !== file.size || mtimeMs !== file.mtimeMs) return 'changed'
    unmoved.set(file.name, { ...verdict, size, mtimeMs })
    const taken = await putAway(file, verdict)
    unmoved.delete(file.name)
    return taken
  }

  return {
    /** Never throws. */
    async take(file: FoundFile): Promise<Taken> {
      try {
        return await take(file)
      } catch (thrown) {
        const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
        if (code === 'ENOENT') return 'gone'
        logger.warn({ code: toRaylogError(thrown).code, errno: code }, 'a file cannot be read or moved')
        return 'stuck'
      }
    },
  }
}
