/**
 * As bench/latency.ts, of distributed mode on one machine: the processes of docker-compose.yml, on Kafka, a document database and
 * S3; with all reports of each study, and with none of them. Each until its p99 rests on more than a thousand images.
 *
 *   node bench/distributed-latency.ts [--images 1100] [--flood 1000]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { startProcesses, usualGroups } from '../tests/services/distributed/processes.ts'
import { groundOrSkip } from './distributed/ground.ts'
import { addedLatency } from './latency/added.ts'
import { markdown, type Row } from './table.ts'

const { values: flags } = parseArgs({
  options: { images: { type: 'string', default: '1100' }, flood: { type: 'string', default: '1000' } },
})

async function measure(what: string, more: readonly string[]): Promise<Row> {
  await using ground = await groundOrSkip('distributed-latency')
  const set = [`models.workers=${availableParallelism()}`, 'logLevel=warn', ...more]
  await using processes = await startProcesses(ground.services, usualGroups, { set })
  const { intake, gateway } = processes.of
  const [flood, images] = [Number(flags.flood), Number(flags.images)]
  const row = await addedLatency({ intake, gateway, flood, images, seconds: 1 })
  return { ...row, what: `${what}: ${row.what}` }
}

const rows = [await measure('all reports', []), await measure('no reports of studies', ['report.formats=[]'])]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'distributed-latency', rows }))
