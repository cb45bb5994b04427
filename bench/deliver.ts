/**
 * What a slow PACS costs the other destinations: reports to a FHIR server, from the reading of their event to their arrival, alone
 * and while very many wait for a PACS that takes 100 ms for each association. In turns, at the same rate; the reports are made
 * before, and the other systems are a process of their own (deliver-peers.ts).
 *
 *   node bench/deliver.ts [--backlog 1000] [--reports 1000] [--rate 50] [--rounds 3]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { deliver } from '../consumers/deliver/stage.ts'
import { platformConfig } from '../schemas/config.ts'
import { topics } from '../schemas/topics.ts'
import { imageFile } from '../tests/harness/dicom-node.ts'
import { aReport } from '../tests/harness/reports.ts'
import { openForTest } from '../tests/harness/stage.ts'
import { openStores } from '../tests/harness/stores.ts'
import { until } from '../tests/harness/until.ts'
import { type Answer, type Ask, hostMs } from './deliver-peers.ts'
import { markdown, median, quantile, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    backlog: { type: 'string', default: '1000' },
    reports: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '3' },
  },
})
const [backlog, reports, rate, rounds] = [flags.backlog, flags.reports, flags.rate, flags.rounds].map(Number) as [
  number,
  number,
  number,
  number,
]
const associationMs = 100

const peersProcess = fork(join(import.meta.dirname, 'deliver-peers.ts'))
const heard = async (): Promise<Answer> => (await once(peersProcess, 'message'))[0]
async function ask(what: Ask = {}): Promise<Answer> {
  const answer = heard()
  peersProcess.send(what)
  return await answer
}

const { pacsPort: port, fhirUrl: url } = await heard()
const stores = await openStores()
const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port, services: [] }]
const stage = await openForTest(deliver, stores, {
  settings: {
    destinations: [
      { name: 'pacs', kind: 'dicom', peer: 'pacs' },
      { name: 'fhir', kind: 'fhir', url, concurrency: 4 },
    ],
  },
  network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
  publish: async () => [],
})
const waitingFor = (queue: string) => stores.documents.count('reportDeliveries', { queue })
let number = 0

interface Turn {
  /** From the reading of the event to its arrival, of each report, ms. */
  took: number[]
  /** How long it took to hand all of them over, s. */
  seconds: number
  /** Of this process, ms a report. */
  cpuMs: number
  /** Share of the time in which its main thread was at work. */
  busy: number
}

/** So many reports at the rate. */
async function measure(): Promise<Turn> {
  const made: Awaited<ReturnType<typeof aReport>>[] = []
  for (let n = 0; n < reports; n++) {
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [{ number: ++number }] }
    made.push(await aReport(stores, number, { format: 'fhir', content: Buffer.from(JSON.stringify(bundle)) }))
  }
  const handed = new Map<number, number>()
  const first = number - reports + 1
  const cpu = process.cpuUsage()
  const loop = performance.eventLoopUtilization()
  const begun = hostMs()
  const putting = made.map(async (report, n) => {
    await wait((n * 1000) / rate)
    handed.set(first + n, hostMs())
    await stage.hand(topics.reports, report)
  })
  await Promise.all(putting)
  const seconds = (hostMs() - begun) / 1000
  await until('all came', async () => (await waitingFor('fhir')) === 0, { deadlineMs: 60_000 })
  const { user, system } = process.cpuUsage(cpu)
  const { utilization: busy } = performance.eventLoopUtilization(loop)
  const came = new Map((await ask()).came)
  const took = [...handed].map(([one, at]) => (came.get(one) ?? Number.NaN) - at)
  return { took, seconds, cpuMs: (user + system) / 1000 / reports, busy }
}

/** Fills the queue of the PACS, which begins to take its time. */
async function fillPacs(): Promise<void> {
  await ask({ associationMs })
  for (let n = 0; n < backlog; n++) {
    const content = imageFile({ '00080018': { vr: 'UI', Value: [`2.25.${++number}`] } })
    await stage.hand(topics.reports, await aReport(stores, number, { format: 'sr', content }))
  }
}

/** It takes no time, until it has all. */
async function emptyPacs(): Promise<void> {
  await ask({ associationMs: 0 })
  await until('the PACS has all', async () => (await waitingFor('pacs')) === 0, { deadlineMs: 600_000 })
}

await fillPacs()
await measure() // until everything is compiled, both ways
await emptyPacs()
await measure()
const [alone, beside]: [Turn[], Turn[]] = [[], []]
for (let turn = 0; turn < rounds; turn++) {
  alone.push(await measure())
  await fillPacs()
  const before = (await ask()).stored
  beside.push(await measure())
  console.log(`the PACS took ${(await ask()).stored - before} meanwhile; ${await waitingFor('pacs')} still wait`)
  await emptyPacs()
}
await stage.close()
peersProcess.disconnect()
await stores.close()

const of = (turns: Turn[], share: number) => median(turns.map(({ took }) => quantile(took, share)))
const row = (what: string, turns: Turn[]) => ({
  what,
  figures: {
    'p50 ms': round(of(turns, 0.5), 1),
    'p99 ms': round(of(turns, 0.99), 1),
    'p99 ms of each round': turns.map(({ took }) => round(quantile(took, 0.99), 1)).join(' '),
    'reports/s': round(median(turns.map(({ seconds }) => reports / seconds)), 1),
    'CPU ms a report': round(median(turns.map(({ cpuMs }) => cpuMs)), 2),
    'main thread busy, %': round(100 * median(turns.map(({ busy }) => busy)), 1),
    reports: reports * rounds,
  },
})
const cost = round(of(beside, 0.99) - of(alone, 0.99), 1)
const rows = [
  row('alone', alone),
  row(`while ${backlog} wait for a PACS of ${associationMs} ms an association`, beside),
  { what: 'what the PACS costs', figures: { 'p50 ms': round(of(beside, 0.5) - of(alone, 0.5), 1), 'p99 ms': cost } },
]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'deliver', rows }))
