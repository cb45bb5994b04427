/**
 * Memory of the whole process over many instances.
 *
 *   node bench/soak.ts [--instances 20000]
 */
import { parseArgs } from 'node:util'
import { isIdle } from '../tests/harness/census.ts'
import { residentMbOf, treeOf } from '../tests/harness/cost.ts'
import { storeAll } from '../tests/harness/cstore.ts'
import { heldBy, inspectable } from '../tests/harness/heap.ts'
import { startRaylog } from '../tests/harness/raylog.ts'
import { smallRadiograph } from '../tests/harness/senders.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, type Row, round } from './table.ts'

const { values: flags } = parseArgs({ options: { instances: { type: 'string', default: '20000' } } })
const total = Number(flags.instances)

const rows: Row[] = []
// Each radiograph is a study of its own: reports of studies would be most of the work, minutes later.
await using raylog = await startRaylog({ set: ['logLevel=warn', 'report.formats=[]'], nodeFlags: [inspectable] })
const step = Math.floor(total / 10)
for (let sent = 0; sent < total; sent += step) {
  const started = performance.now()
  await storeAll(
    raylog.dicomPort,
    Array.from({ length: step }, (_, n) => smallRadiograph(sent + n)),
    { associations: 4 },
  )
  await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 600_000, everyMs: 100 })
  rows.push({
    what: `after ${sent + step} instances`,
    figures: {
      'resident MB': round(residentMbOf(treeOf([raylog.pid]))),
      'of it the main process': round(residentMbOf([raylog.pid])),
      'instances/s': round(step / ((performance.now() - started) / 1_000)),
      // Every 4,000 of 20,000, not each time: to know it is to collect everything, which V8 would not have done.
      ...(rows.length % 2 === 1 && {
        'live in the main process': round((await heldBy(raylog)).live / 1_048_576),
      }),
    },
  })
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'soak', rows }))
