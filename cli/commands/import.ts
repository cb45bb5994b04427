/** raylog import: an export into the log of these settings, embedded or Kafka. */
import { importLog } from '../../kafka/archive/import.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { openLogAlone } from '../log.ts'
import { progress } from '../progress.ts'
import type { SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'

export async function importFrom(sources: SettingSources, file: string, flags: { reread?: string }): Promise<void> {
  const fromStart = flags.reread?.split(',').map(name => name.trim()) ?? []
  const reading = allStages.filter(({ reads }) => reads.length > 0).map(({ name }) => name)
  const unknown = fromStart.filter(name => !reading.includes(name))
  if (unknown.length > 0)
    throw new RaylogError('bad-request', `--reread ${unknown.join(', ')}: choose from ${reading.join(', ')}`)
  await using opened = await openLogAlone(sources, { make: true })
  const tell = progress('imported')
  const { records, there, groups } = await importLog(opened.log, file, {
    specs: opened.plan.topics,
    fromStart,
    onProgress: tell.at,
  })
  tell.done(`${records} records are on the log${there > 0 ? `; ${there} of them were there before` : ''}.`)
  if (groups.length > 0) console.log(`These stages go on where they stood: ${groups.join(', ')}.`)
  if (fromStart.length > 0) console.log(`These read everything again: ${fromStart.join(', ')}.`)
}
