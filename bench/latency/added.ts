/** What a Raylog adds to the run of the model, from the acknowledgement of an image to its live message on a dashboard. */
import { setTimeout as wait } from 'node:timers/promises'
import { io } from 'socket.io-client'
import type { Prediction } from '../../schemas/topics.ts'
import { isIdle } from '../../tests/harness/census.ts'
import { storeAll } from '../../tests/harness/cstore.ts'
import type { Raylog } from '../../tests/harness/raylog.ts'
import { radiograph } from '../../tests/harness/senders.ts'
import { until } from '../../tests/harness/until.ts'
import { quantile, type Row, round } from '../table.ts'

export interface Measured {
  /** Takes the images. */
  intake: Raylog
  /** Serves the dashboard; may be the same. */
  gateway: Raylog
  /** Images of the flood that finds the capacity. */
  flood: number
  /** At half of the capacity, so long at least. */
  seconds: number
  /** And until there are so many. */
  images?: number
}

/** Finds the capacity first: as many as come out when more come in than can. */
export async function addedLatency({ intake, gateway, flood, seconds, images = 0 }: Measured): Promise<Row> {
  const socket = io(gateway.url, { path: '/live', auth: { token: gateway.token }, transports: ['websocket'] })
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

  const warm = Array.from({ length: flood }, (_, n) => radiograph(n, { size: 256 }))
  const started = performance.now()
  await storeAll(intake.dicomPort, warm, { associations: 8 })
  await until('all are predicted', () => seen.size === flood, { deadlineMs: 300_000 })
  const predicted = flood / ((performance.now() - started) / 1_000)
  await until('all are through', () => isIdle(gateway), { deadlineMs: 300_000, everyMs: 100 })
  const capacity = flood / ((performance.now() - started) / 1_000)

  const rate = capacity / 2
  const acknowledged = new Map<string, number>()
  const lanes = 4
  const begun = performance.now()
  const lane = async (first: number) => {
    for (let n = first; n < Math.max(rate * seconds, images); n += lanes) {
      const due = begun + (n / rate) * 1_000
      if (due > performance.now()) await wait(due - performance.now())
      const one = radiograph(1_000_000 + n, { size: 256 })
      await storeAll(intake.dicomPort, [one], { associations: 1 })
      acknowledged.set(one.sopInstance, performance.now())
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
  await until('all are through', () => seen.size >= flood + acknowledged.size, { deadlineMs: 120_000 })
  socket.close()
  const added = [...seen].flatMap(([instance, { at, inferMs }]) => {
    const acked = acknowledged.get(sopOf.get(instance) ?? '')
    return acked === undefined ? [] : [at - acked - inferMs]
  })
  return {
    what: `${round(rate)} images/s, half of ${round(capacity)}`,
    figures: {
      // Far above the capacity where what follows a prediction (reports, deliveries, studies) is what takes the time.
      'predictions/s of the flood': round(predicted, 1),
      'p50 ms': round(quantile(added, 0.5), 1),
      'p95 ms': round(quantile(added, 0.95), 1),
      'p99 ms': round(quantile(added, 0.99), 1),
      images: added.length,
    },
  }
}
