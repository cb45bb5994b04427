/**
 * Memory of the whole process over many instances, and the time from start to ready.
 *
 *   node bench/soak.ts [--instances 20000]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { chestDicom, chestUids } from '../producers/simulator/phantoms.ts'
import { isIdle } from '../tests/harness/census.ts'
import { storeAll } from '../tests/harness/cstore.ts'
import { startRaylog } from '../tests/harness/raylog.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({ options: { instances: { type: 'string', default: '20000' } } })
const total = Number(flags.instances)

const afterMeta = (file: Buffer) => file.subarray(132 + 12 + file.readUInt32LE(140))
const radiograph = (n: number) => ({
  ...chestUids(n),
  transferSyntax: '1.2.840.10008.1.2.1',
  dataSet: afterMeta(chestDicom(n, { size: 64 })),
})

/** Resident memory of a process and of those that it started, MB. */
function residentMb(pid: number): number {
  const own = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return own + children.reduce((sum, child) => sum + residentMb(Number(child)), 0)
}

const starts: number[] = []
for (let run = 0; run < 5; run++) {
  const started = performance.now()
  await using raylog = await startRaylog({ set: ['logLevel=warn'] })
  starts.push((performance.now() - started) / 1_000)
  await raylog.stop()
}

const rows: Row[] = [{ what: 'start to ready, median of 5', figures: { seconds: round(median(starts), 2) } }]
await using raylog = await startRaylog({ set: ['logLevel=warn'] })
const step = Math.floor(total / 10)
for (let sent = 0; sent < total; sent += step) {
  const started = performance.now()
  await storeAll(
    raylog.dicomPort,
    Array.from({ length: step }, (_, n) => radiograph(sent + n)),
    { associations: 4 },
  )
  await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 600_000, everyMs: 100 })
  rows.push({
    what: `after ${sent + step} instances`,
    figures: {
      'resident MB': round(residentMb(raylog.pid)),
      'instances/s': round(step / ((performance.now() - started) / 1_000)),
    },
  })
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'soak', rows }))
