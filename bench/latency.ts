/**
 * What Raylog adds: from the acknowledgement of an image to its live message on a dashboard, less the run of the model, at
 * half of what the whole pipeline can do (found first, in the same process).
 *
 *   node bench/latency.ts [--seconds 20]
 */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { io } from 'socket.io-client'
import { chestDicom, chestUids } from '../producers/simulator/phantoms.ts'
import type { Prediction } from '../schemas/topics.ts'
import { isIdle } from '../tests/harness/census.ts'
import { storeAll } from '../tests/harness/cstore.ts'
import { startRaylog } from '../tests/harness/raylog.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, quantile, round } from './table.ts'

const { values: flags } = parseArgs({ options: { seconds: { type: 'string', default: '20' } } })
const seconds = Number(flags.seconds)

const afterMeta = (file: Buffer) => file.subarray(132 + 12 + file.readUInt32LE(140))
const radiograph = (n: number) => ({
  ...chestUids(n),
  transferSyntax: '1.2.840.10008.1.2.1',
  dataSet: afterMeta(chestDicom(n, { size: 256 })),
})

await using raylog = await startRaylog({ set: ['logLevel=warn'] })
const socket = io(raylog.url, { path: '/live', auth: { token: raylog.token }, transports: ['websocket'] })
const sopOf = new Map<string, string>()
const seen = new Map<string, { at: number; inferMs: number }>()
socket.on('instance', ({ event }: { event: { id: string; dicom: { sopInstance: string } } }) =>
  sopOf.set(event.id, event.dicom.sopInstance),
)
socket.on('prediction', ({ event }: { event: Prediction }) =>
  seen.set(event.instance, { at: performance.now(), inferMs: event.timings.inferMs }),
)
await new Promise<void>(done => {
  socket.once('connect', done)
})
await socket.emitWithAck('join', { rooms: ['all'] })

// Capacity: as many as come out when more come in than can.
const warm = Array.from({ length: 1_500 }, (_, n) => radiograph(n))
const started = performance.now()
await storeAll(raylog.dicomPort, warm, { associations: 8 })
await until('all are through', () => seen.size === warm.length && isIdle(raylog), { deadlineMs: 300_000 })
const capacity = warm.length / ((performance.now() - started) / 1_000)

const rate = capacity / 2
const acknowledged = new Map<string, number>()
const sends: Promise<void>[] = []
const lanes = 4
const begun = performance.now()
for (let lane = 0; lane < lanes; lane++) {
  sends.push(
    (async () => {
      for (let n = lane; n < rate * seconds; n += lanes) {
        const due = begun + (n / rate) * 1_000
        if (due > performance.now()) await wait(due - performance.now())
        const one = radiograph(1_000_000 + n)
        await storeAll(raylog.dicomPort, [one], { associations: 1 })
        acknowledged.set(one.sopInstance, performance.now())
      }
    })(),
  )
}
await Promise.all(sends)
await until('all are through', () => seen.size >= warm.length + acknowledged.size, { deadlineMs: 120_000 })
const added: number[] = []
for (const [instance, { at, inferMs }] of seen) {
  const acked = acknowledged.get(sopOf.get(instance) ?? '')
  if (acked !== undefined) added.push(at - acked - inferMs)
}
socket.close()
const row = {
  what: `${round(rate)} images/s, half of ${round(capacity)}`,
  figures: {
    'p50 ms': round(quantile(added, 0.5), 1),
    'p95 ms': round(quantile(added, 0.95), 1),
    'p99 ms': round(quantile(added, 0.99), 1),
    images: added.length,
  },
}
console.log(markdown([row]))
console.log(JSON.stringify({ bench: 'latency', rows: [row] }))
