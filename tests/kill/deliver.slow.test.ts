/**
 * At least once, and never twice unseen: the whole process is SIGKILLed again and again in the middle of delivering. The receiver
 * counts. KILLS and KILL_SEED set how often and when; the seed is printed.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../producers/simulator/random.ts'
import { census, isIdle, listAll } from '../harness/census.ts'
import { startRaylog } from '../harness/raylog.ts'
import { uploadDigits } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

const kills = Number(process.env.KILLS ?? 6)
const uploads = Number(process.env.RAYLOG_DELIVERIES ?? 150)
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)

interface Delivery {
  id: string
  report: string
  state: string
  redelivered: boolean
  attempts: number
  receipt: string
}

/** As a bucket: each PUT is counted by its key, and answered after a while; one that is held is counted and never answered. */
async function bucket() {
  const puts = new Map<string, number>()
  let holding = false
  let held = 0
  const server = createServer(async (request, response) => {
    if (!(await request.toArray().catch(() => null))) return // broken off by the kill: it has not arrived
    const key = (request.url ?? '').replace('/reports/', '')
    puts.set(key, (puts.get(key) ?? 0) + 1)
    if (holding) return void held++
    await wait(15)
    response.writeHead(200, { etag: '"1"' }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    puts,
    hold() {
      holding = true
      held = 0
    },
    get held() {
      return held
    },
    letGo() {
      holding = false
    },
    [Symbol.dispose]: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

describe('a Raylog that is killed while it delivers', () => {
  it(`loses no report over ${kills} kills, and says of each that came twice that it may have`, async () => {
    const next = seeded(seed)
    using there = await bucket()
    const destination = {
      ...{ name: 'bucket', kind: 's3', endpoint: there.url, bucket: 'reports', accessKey: 'a', secretKey: 'b' },
      ...{ concurrency: 4, ratePerSecond: 40, rules: [{ formats: ['pdf'] }], backoffMs: 50, maxBackoffMs: 200 },
    }
    const set = ['logLevel=warn', 'deliver.leaseMs=500', 'deliver.pollMs=100', 'report.formats=[]']
    await using raylog = await startRaylog({ set: [...set, `deliver.destinations=${JSON.stringify([destination])}`] })
    const all = Array.from({ length: uploads }, (_, n) => n)
    let sending = true
    const uploading = uploadDigits(raylog, all, () => wait(sending ? 10 : 0))
    for (let killed = 0; killed < kills; killed++) {
      const before = there.puts.size
      await until('it delivers', () => there.puts.size > before + 2 || there.puts.size === uploads, {
        deadlineMs: 120_000,
      })
      // Every other kill is one between sending and noting it; the others are at any moment.
      if (killed % 2 === 0) {
        there.hold()
        await until('some has arrived and is not answered', () => there.held > 0 || there.puts.size === uploads, {
          everyMs: 1,
          deadlineMs: 120_000,
        })
      } else await wait(next() * 300)
      await raylog.kill()
      there.letGo()
      await raylog.restart()
    }
    sending = false
    await uploading
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 240_000, everyMs: 250 })
    const deliveries = await until(
      'all is delivered',
      async () => {
        const found = await listAll<Delivery>(raylog, 'deliveries')
        return found.length === uploads && found.every(({ state }) => state === 'sent') ? found : undefined
      },
      { deadlineMs: 240_000, everyMs: 250 },
    )

    const { reports, parked } = await census(raylog)
    const twice = deliveries.filter(({ receipt }) => (there.puts.get(receipt) ?? 0) > 1)
    console.log({ seed, kills, deliveries: deliveries.length, twice: twice.length })
    expect(parked).toEqual([])
    expect(deliveries.map(({ report }) => report).sort()).toEqual(reports.map(({ id }) => id).sort())
    expect(deliveries.filter(({ receipt }) => !there.puts.has(receipt))).toEqual([])
    expect(twice).not.toEqual([])
    expect(twice.filter(({ redelivered }) => !redelivered)).toEqual([])
    expect(await raylog.stop()).toBe(0)
  })
})
