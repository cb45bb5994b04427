/** Times as people write them on the command line. */
import { CallError } from './call-error.ts'

/** @returns ms since the epoch; undefined where none is given. @throws CallError for what is no time */
export function timeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isSafeInteger(time))
    throw new CallError(`${flag} ${text} is no time.`, 'Write it as 2026-05-01T08:00:00Z.')
  return time
}
