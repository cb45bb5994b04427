import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { topics } from '../schemas/topics.ts'
import { startGateway, token } from '../tests/gateway/kit.ts'
import { anInstance } from '../tests/gateway/samples.ts'

const perSecond = 1_000
const seconds = 10
const clients = 20

it(`pushes ${perSecond} events a second to ${clients} clients; prints how late they came`, async () => {
  await using gateway = await startGateway()
  const expected = perSecond * seconds
  const worker = new Worker(new URL('../tests/gateway/listeners.ts', import.meta.url), {
    workerData: { url: gateway.url, token, clients, expected },
  })
  await once(worker, 'message')
  const before = process.cpuUsage()
  const began = performance.now()
  const done = once(worker, 'message')
  for (let sent = 0; sent < expected; sent += 20) {
    const due = began + (sent / perSecond) * 1000
    const early = due - performance.now()
    if (early > 0) await new Promise(resolve => setTimeout(resolve, early))
    await gateway.publish(
      topics.instances,
      ...Array.from({ length: 20 }, (_, n) => anInstance(sent + n, { acquiredAt: Date.now() })),
    )
  }
  const published = performance.now() - began
  const [message] = await done
  const elapsed = performance.now() - began
  const { user, system } = process.cpuUsage(before)
  const latencies = z.array(z.number()).parse(message)
  const quantile = (q: number) => latencies[Math.floor(q * (latencies.length - 1))]
  console.log(
    `${expected} events in ${(published / 1000).toFixed(2)} s, ${expected * clients} messages in ${(elapsed / 1000).toFixed(2)} s; ` +
      `late by ms: p50 ${quantile(0.5)}, p99 ${quantile(0.99)}, max ${quantile(1)}; CPU of the process ${((user + system) / 1e6).toFixed(1)} s`,
  )
  expect(latencies.length).toBeGreaterThan(0)
  await worker.terminate()
})
