/**
 * What Raylog adds: from the acknowledgement of an image to its live message on a dashboard, less the run of the model, at
 * half of what the whole pipeline can do (found first).
 *
 *   node bench/latency.ts [--seconds 20]
 */
import { parseArgs } from 'node:util'
import { startRaylog } from '../tests/harness/raylog.ts'
import { addedLatency } from './latency/added.ts'
import { markdown } from './table.ts'

const { values: flags } = parseArgs({ options: { seconds: { type: 'string', default: '20' } } })

await using raylog = await startRaylog({ set: ['logLevel=warn'] })
const row = await addedLatency({ intake: raylog, gateway: raylog, flood: 1_500, seconds: Number(flags.seconds) })
console.log(markdown([row]))
console.log(JSON.stringify({ bench: 'latency', rows: [row] }))
