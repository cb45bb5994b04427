/**
 * Notifications: from a prediction, before it is put on the log, to its mail at the SMTP server (DATA complete), at a steady rate.
 * Between them the append that is synced to disk, the runner that reads it, the rules and the record of what is sent.
 *
 *   node bench/notify.ts [--seconds 60] [--rate 20]
 *
 * The stage under the real runner, on the embedded log and documents (SQLite, synced); a real SMTP server in a process of its own
 * (notify-mail.ts). Each prediction is of a study of its own, so each makes a notification, claims a delivery, and is one mail.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { openPorts, storesOf } from '../cli/ports.ts'
import { notify } from '../consumers/notify/stage.ts'
import { compile } from '../kafka/compile.ts'
import { toRecord } from '../kafka/runner/attempt.ts'
import { run } from '../kafka/runner.ts'
import { systemClock } from '../monitoring/clock.ts'
import { topics } from '../schemas/topics.ts'
import { aPrediction } from '../tests/gateway/samples.ts'
import { until } from '../tests/harness/until.ts'
import { hostMs } from './clock.ts'
import type { Said } from './notify-mail.ts'
import { markdown, quantile, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, rate: { type: 'string', default: '20' } },
})
const rate = Number(flags.rate)
const count = Number(flags.seconds) * rate
const warmUp = rate * 5

const server = fork(join(import.meta.dirname, 'notify-mail.ts'))
const [listening]: [Said] = (await once(server, 'message')) as [Said]
const port = 'port' in listening ? listening.port : 0

const data = await mkdtemp(join(tmpdir(), 'raylog-bench-notify-'))
const surroundings = { logger: pino({ level: 'error' }), clock: systemClock }
const plan = compile([notify], {
  data,
  http: { port: 0 },
  notify: {
    channels: [{ name: 'mail', kind: 'email', host: '127.0.0.1', port, security: 'none', from: 'r@h.example' }],
    people: [{ name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }], mostPerHour: 10_000 }],
    rules: [{ name: 'each', on: 'prediction', findings: [{ present: null }], to: ['martin'] }],
  },
})
const opened = await openPorts(plan, surroundings, await storesOf(plan, surroundings))
const running = await run(plan, opened.ports, opened.platform)
const { log, codec } = opened.ports

const began: number[] = []
const took = new Map<number, number>()
server.on('message', (said: Said) => {
  if (!('label' in said)) return
  const number = Number(/\d+/.exec(said.label)?.[0])
  took.set(number, said.at - (began[number] ?? Number.NaN))
})

/** As the stage that predicts does it. */
async function predict(n: number): Promise<void> {
  const event = { id: `pr_${n}`, study: `st_${n}`, label: `case-${n}`, score: 0.9, predictedAt: Date.now() }
  began[n] = hostMs()
  await log.append([await toRecord(codec, topics.predictions, aPrediction(n, event))])
}
const first = performance.now()
const appended = Array.from({ length: count + warmUp }, async (_, n) => {
  await wait(Math.max(0, first + (n * 1_000) / rate - performance.now()))
  await predict(n)
})
await Promise.all(appended)
await until('every mail is there', () => took.size === count + warmUp)
const measured = [...took].flatMap(([n, ms]) => (n < warmUp ? [] : [ms]))
const figures = {
  'mails a second': round(rate),
  'p50 ms': round(quantile(measured, 0.5), 1),
  'p95 ms': round(quantile(measured, 0.95), 1),
  'p99 ms': round(quantile(measured, 0.99), 1),
  'longest ms': round(Math.max(...measured), 1),
  mails: measured.length,
}
const rows = [{ what: 'prediction to SMTP receipt', figures }]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'notify', rows }))
await running.stop()
await opened[Symbol.asyncDispose]()
server.disconnect()
await rm(data, { recursive: true })
