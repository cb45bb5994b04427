/** raylog import: an export into the log of these settings, embedded or Kafka. */
import { importLog } from '../../kafka/archive/import.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { CallError } from '../call-error.ts'
import { openLogAlone } from '../log.ts'
import { progress } from '../progress.ts'
import type { SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'

export async function importFrom(sources: SettingSources, file: string, flags: { reread?: string }): Promise<void> {
  const fromStart = flags.reread?.split(',').map(name => name.trim()) ?? []
  const reading = allStages.filter(({ reads }) => reads.length > 0).map(({ name }) => name)
  const unknown = fromStart.filter(name => !reading.includes(name))
  if (unknown.length > 0)
    throw new CallError(`--reread ${unknown.join(', ')}: no such stage reads.`, `Choose from ${reading.join(', ')}.`)
  await using opened = await openLogAlone(sources, { make: true })
  const tell = progress('imported')
  const options = { specs: opened.plan.topics, fromStart, onProgress: tell.at }
  const { records, there, groups } = await importLog(opened.log, file, options).catch(refusal)
  tell.done(`${records} records are on the log${there > 0 ? `; ${there} of them were there before` : ''}.`)
  if (groups.length > 0) console.log(`These stages go on where they stood: ${groups.join(', ')}.`)
  if (fromStart.length > 0) console.log(`These read everything again: ${fromStart.join(', ')}.`)
}

/** Which file and which log do not go together is for the caller to mend. */
function refusal(thrown: unknown): never {
  if (!(thrown instanceof RaylogError && thrown.code === 'bad-request')) throw thrown
  throw new CallError(thrown.message, 'See "Export and import" in docs/distributed.md.', { cause: thrown })
}
