/**
 * What Raylog adds: from the acknowledgement of an image to its live message on a dashboard, less the run of the model, at
 * half of what the whole pipeline can do (found first); with all reports of each study, and with none of them.
 *
 *   node bench/latency.ts [--seconds 20] [--plain-seconds 60] [--flood 1500]
 */
import { parseArgs } from 'node:util'
import { startRaylog } from '../tests/harness/raylog.ts'
import { addedLatency } from './latency/added.ts'
import { markdown, type Row } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    'plain-seconds': { type: 'string', default: '60' },
    flood: { type: 'string', default: '1500' },
  },
})

async function measure(what: string, set: readonly string[], seconds: number): Promise<Row> {
  await using raylog = await startRaylog({ set: ['logLevel=warn', ...set] })
  const row = await addedLatency({ intake: raylog, gateway: raylog, flood: Number(flags.flood), seconds })
  return { ...row, what: `${what}: ${row.what}` }
}

const rows = [
  await measure('all reports', [], Number(flags.seconds)),
  await measure('no reports of studies', ['report.formats=[]'], Number(flags['plain-seconds'])),
]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'latency', rows }))
