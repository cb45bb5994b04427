/**
 * What a slow PACS costs the other destinations: reports to a FHIR server, from the reading of their event to their arrival, alone
 * and while very many wait for a PACS that takes 100 ms for each association.
 *
 *   node bench/deliver.ts [--backlog 1000] [--reports 1000] [--rate 50] [--rounds 1]
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pino from 'pino'
import { deliver } from '../consumers/deliver/stage.ts'
import { commandField } from '../dicom/command.ts'
import { createAdmission } from '../producers/dimse/admission.ts'
import { startServer } from '../producers/dimse/server.ts'
import type { Service } from '../producers/dimse/services/service.ts'
import { platformConfig } from '../schemas/config.ts'
import { topics } from '../schemas/topics.ts'
import { imageFile } from '../tests/harness/dicom-node.ts'
import { aReport } from '../tests/harness/reports.ts'
import { openForTest } from '../tests/harness/stage.ts'
import { openStores } from '../tests/harness/stores.ts'
import { until } from '../tests/harness/until.ts'
import { markdown, median, quantile, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    backlog: { type: 'string', default: '1000' },
    reports: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '1' },
  },
})
const [backlog, reports, rate, rounds] = [flags.backlog, flags.reports, flags.rate, flags.rounds].map(Number) as [
  number,
  number,
  number,
  number,
]
const associationMs = 100

/** Stores nothing, slowly. */
async function slowPacs() {
  let stored = 0
  const store: Service = {
    field: commandField.store,
    takes: () => true,
    async serve({ data }) {
      await data?.skip()
      await wait(associationMs)
      stored++
      return { code: 0 }
    },
  }
  const server = await startServer({
    plain: { host: '127.0.0.1', port: 0 },
    tls: null,
    ...{ aeTitle: 'PACS', strictAeTitle: false, privateSopClasses: false, maxAssociations: 100, maxPduBytes: 131_072 },
    ...{ artimMs: 10_000, idleMs: 10_000, stallMs: 10_000, logger: pino({ level: 'silent' }) },
    services: new Map([[store.field, store]]),
    offered: new Set(),
    observer: { opened() {}, rejected() {}, refusedTls() {} },
    identify: createAdmission({ peers: [], acceptAnyone: true }),
  })
  return { server, stored: () => stored }
}

/** Notes when the bundle of each number came. */
async function fhirServer() {
  const cameAt = new Map<number, number>()
  const server = createServer(async (request, response) => {
    const body: { entry: [{ number: number }] } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    cameAt.set(body.entry[0].number, performance.now())
    response.end('{"resourceType":"Bundle","type":"transaction-response"}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, cameAt, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const pacs = await slowPacs()
const fhir = await fhirServer()
const stores = await openStores()
const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: pacs.server.plain?.port ?? 0, services: [] }]
const stage = await openForTest(deliver, stores, {
  settings: {
    destinations: [
      { name: 'pacs', kind: 'dicom', peer: 'pacs' },
      { name: 'fhir', kind: 'fhir', url: fhir.url, concurrency: 4 },
    ],
  },
  network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
  publish: async () => [],
})
let number = 0

/** Latencies of so many reports at the rate, ms. */
async function measure(): Promise<number[]> {
  const handed = new Map<number, number>()
  const begun = performance.now()
  for (let n = 0; n < reports; n++) {
    const mine = number++
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [{ number: mine }] }
    const report = await aReport(stores, mine, { format: 'fhir', content: Buffer.from(JSON.stringify(bundle)) })
    await wait(Math.max(0, begun + (n * 1000) / rate - performance.now()))
    handed.set(mine, performance.now())
    void stage.hand(topics.reports, report)
  }
  await until('all came', () => [...handed.keys()].every(one => fhir.cameAt.has(one)))
  return [...handed].map(([one, at]) => (fhir.cameAt.get(one) ?? 0) - at)
}

async function fillPacs(): Promise<void> {
  for (let n = 0; n < backlog; n++) {
    const content = imageFile({ '00080018': { vr: 'UI', Value: [`2.25.${++number}`] } })
    await stage.hand(topics.reports, await aReport(stores, number, { format: 'sr', content }))
  }
}

await measure() // until everything is compiled
const [alone, beside]: [number[][], number[][]] = [[], []]
for (let turn = 0; turn < rounds; turn++) {
  alone.push(await measure())
  await fillPacs()
  const before = pacs.stored()
  beside.push(await measure())
  const waiting = await stores.documents.count('reportDeliveries', { queue: 'pacs' })
  console.log(`the PACS took ${pacs.stored() - before} meanwhile; ${waiting} still wait`)
  await until(
    'the PACS has all',
    async () => (await stores.documents.count('reportDeliveries', { queue: 'pacs' })) === 0,
    {
      deadlineMs: 600_000,
    },
  )
}
await stage.close()
await pacs.server.close()
fhir.server.closeAllConnections()
fhir.server.close()
await stores.close()

const of = (all: number[][], share: number) => median(all.map(one => quantile(one, share)))
const row = (what: string, all: number[][]) => ({
  what,
  figures: { 'p50 ms': round(of(all, 0.5), 1), 'p99 ms': round(of(all, 0.99), 1), reports: reports * rounds },
})
const rows = [
  row('alone', alone),
  row(`while ${backlog} wait for a PACS of ${associationMs} ms an association`, beside),
  { what: 'what the PACS costs', figures: { 'p99 ms': round(of(beside, 0.99) - of(alone, 0.99), 1) } },
]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'deliver', rows }))
