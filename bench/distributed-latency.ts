/**
 * As bench/latency.ts, of distributed mode on one machine: intake, infer, results and gateway in processes of their own, on
 * Kafka, a document database and S3.
 *
 *   node bench/distributed-latency.ts [--seconds 20] [--flood 1000]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { startProcesses, usualGroups } from '../tests/services/distributed/processes.ts'
import { groundOrSkip } from './distributed/ground.ts'
import { addedLatency } from './latency/added.ts'
import { markdown, type Row } from './table.ts'

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '20' }, flood: { type: 'string', default: '1000' } },
})

async function measure(): Promise<Row> {
  await using ground = await groundOrSkip('distributed-latency')
  const set = [`models.workers=${availableParallelism()}`, 'logLevel=warn']
  await using processes = await startProcesses(ground.services, usualGroups, { set })
  const { intake, gateway } = processes.of
  return await addedLatency({ intake, gateway, flood: Number(flags.flood), seconds: Number(flags.seconds) })
}

const row = await measure()
console.log(markdown([row]))
console.log(JSON.stringify({ bench: 'distributed-latency', rows: [row] }))
