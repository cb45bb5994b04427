/**
 * Notifications: from a prediction in the hands of `notify` to its mail at the SMTP server (DATA complete), at a steady rate.
 *
 *   node bench/notify.ts [--seconds 20] [--rate 20]
 *
 * The stage on real stores (SQLite, synced), a real SMTP server in this process; each prediction is of a study of its own,
 * so each makes a notification, claims a delivery, and is one mail.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../monitoring/clock.ts'
import { topics } from '../schemas/topics.ts'
import { aPrediction } from '../tests/gateway/samples.ts'
import { startMail } from '../tests/harness/mail.ts'
import { openNotify } from '../tests/harness/notify.ts'
import { openStores } from '../tests/harness/stores.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, quantile, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '20' }, rate: { type: 'string', default: '20' } },
})
const rate = Number(flags.rate)
const count = Number(flags.seconds) * rate
const warmUp = rate * 2

const began = new Map<string, number>()
const took: number[] = []
await using mail = await startMail()
const stores = await openStores()
const stage = await openNotify(
  stores,
  {
    channels: [
      { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
    ],
    people: [{ name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }], mostPerHour: 1_000 }],
    rules: [{ name: 'each', on: 'prediction', findings: [{ present: null }], to: ['martin'] }],
  },
  { clock: systemClock },
)
mail.onMail = ({ raw }) => {
  const label = /case-\d+/.exec(raw)?.[0] ?? ''
  took.push(performance.now() - (began.get(label) ?? Number.NaN))
}
const handed: Promise<unknown>[] = []
for (let n = 0; n < count + warmUp; n++) {
  const label = `case-${n}`
  began.set(label, performance.now())
  const event = aPrediction(n, { id: `pr_${n}`, study: `st_${n}`, label, score: 0.9, predictedAt: Date.now() })
  handed.push(stage.hand(topics.predictions, event))
  await wait(1_000 / rate)
}
await Promise.all(handed)
await until('every mail is there', () => took.length === count + warmUp)
const measured = took.slice(warmUp)
const figures = {
  'mails a second': round(rate),
  'p50 ms': round(quantile(measured, 0.5), 1),
  'p99 ms': round(quantile(measured, 0.99), 1),
  'longest ms': round(Math.max(...measured), 1),
}
const rows = [{ what: 'prediction to SMTP receipt', figures }]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'notify', rows }))
await stage.close()
await stores.close()
