/**
 * What a slow PACS costs the other destinations: reports to a FHIR server, a DICOMweb server, an HL7 receiver and a folder, from
 * the reading of their event to their arrival, all destinations with their default settings. In turns of two seconds, since what
 * else a machine does lasts longer: while 1,000 reports wait for a PACS that stands still, and while it takes them at 100 ms an
 * association. The turns are pairs, in either order; the difference is of all of them, with its 95 % interval over pairs. Before
 * each round the same with nothing waiting at all. The other systems are a process of their own (deliver-peers.ts).
 *
 *   node bench/deliver.ts [--backlog 1000] [--rate 50] [--turn-ms 2000] [--turns 20] [--rounds 3]
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { deliver } from '../consumers/deliver/stage.ts'
import { seeded } from '../producers/simulator/random.ts'
import { platformConfig } from '../schemas/config.ts'
import { type Report, topics } from '../schemas/topics.ts'
import { imageFile } from '../tests/harness/dicom-node.ts'
import { aReport } from '../tests/harness/reports.ts'
import { openForTest } from '../tests/harness/stage.ts'
import { openStores } from '../tests/harness/stores.ts'
import { until } from '../tests/harness/until.ts'
import { hostMs } from './clock.ts'
import type { Answer, Ask } from './deliver-peers.ts'
import { pairedDifference } from './paired.ts'
import { markdown, quantile, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    backlog: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '50' },
    'turn-ms': { type: 'string', default: '2000' },
    turns: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
  },
})
const [backlog, rate, turns, rounds] = [flags.backlog, flags.rate, flags.turns, flags.rounds].map(Number) as [
  number,
  number,
  number,
  number,
]
const associationMs = 100
const reportsOfTurn = Math.round((Number(flags['turn-ms']) / 1000) * rate)

const peersProcess = fork(join(import.meta.dirname, 'deliver-peers.ts'))
const heard = async (): Promise<Answer> => (await once(peersProcess, 'message'))[0]
async function ask(what: Ask = {}): Promise<Answer> {
  const answer = heard()
  peersProcess.send(what)
  return await answer
}

const { ports } = await heard()
const stores = await openStores()
const kinds = ['fhir', 'folder', 'hl7', 'stow'] as const
type Kind = (typeof kinds)[number]
const host = '127.0.0.1'
const folder = join(stores.folder, 'share')
/** All of one study, so that the files are in one folder; each on an image of its own. */
const study = 'st_bench'
await mkdir(join(folder, study), { recursive: true })
await ask({ folder: join(folder, study) })
const only = (format: string) => ({ rules: [{ formats: [format] }] })
const stage = await openForTest(deliver, stores, {
  settings: {
    destinations: [
      { name: 'pacs', kind: 'dicom', peer: 'pacs', ...only('dicom-sr') },
      { name: 'fhir', kind: 'fhir', url: `http://${host}:${ports.fhir}`, ...only('fhir') },
      { name: 'folder', kind: 'folder', path: folder, ...only('csv') },
      { name: 'hl7', kind: 'hl7', host, port: ports.hl7, ...only('hl7') },
      { name: 'stow', kind: 'stow', peer: 'web', ...only('dicom-pdf') },
    ],
  },
  network: {
    peers: platformConfig.parse({
      peers: [
        { name: 'pacs', aeTitle: 'PACS', host, port: ports.pacs, services: [] },
        { name: 'web', dicomweb: { url: `http://${host}:${ports.stow}` }, services: [] },
      ],
    }).peers,
    dicomTls: null,
  },
  publish: async () => [],
})
const waitingFor = (queue: string) => stores.documents.count('reportDeliveries', { queue })
let number = 0

type Made = Report & { object: string }
const dicomOf = (n: number) => imageFile({ '00080018': { vr: 'UI', Value: [`2.25.${n}`] } })
const contents: Record<Kind | 'pacs', { format: string; of: (n: number) => Buffer }> = {
  pacs: { format: 'dicom-sr', of: dicomOf },
  fhir: {
    format: 'fhir',
    of: n => Buffer.from(JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry: [{ number: n }] })),
  },
  folder: { format: 'csv', of: n => Buffer.from(`report\n${n}\n`) },
  hl7: { format: 'hl7', of: n => Buffer.from(`MSH|^~\\&|RAYLOG||||20260101||ORU^R01|${n}|P|2.5.1\r`) },
  stow: { format: 'dicom-pdf', of: dicomOf },
}
function make(kind: Kind | 'pacs', n: number): Promise<Made> {
  const { format, of } = contents[kind]
  return aReport(stores, n, { study, prediction: `pr_${n}`, format, content: of(n) })
}

interface Turn {
  /** From the reading of the event to its arrival, of each report, ms. */
  took: Record<Kind, number[]>
  /** Of this process, ms. */
  cpuMs: number
  /** Share of the time in which its main thread was at work. */
  busy: number
  /** Reports that the PACS took meanwhile. */
  pacsTook: number
}

/** So many reports at the rate, one kind after the other. */
async function turn(pace: number | null): Promise<Turn> {
  const first = number + 1
  const kindOf = (n: number): Kind => kinds[n % kinds.length] ?? 'fhir'
  number += reportsOfTurn
  const made = await Promise.all(Array.from({ length: reportsOfTurn }, (_, i) => make(kindOf(first + i), first + i)))
  const { stored: before } = await ask({ associationMs: pace })
  const handed: number[] = []
  const cpu = process.cpuUsage()
  const loop = performance.eventLoopUtilization()
  await Promise.all(
    made.map(async (report, i) => {
      await wait((i * 1000) / rate)
      handed[i] = hostMs()
      await stage.hand(topics.reports, report)
    }),
  )
  const came = new Map<number, number>()
  const { stored } = await until('all came', async () => {
    const answer = await ask()
    for (const [n, at] of answer.came) came.set(n, at)
    return came.size >= reportsOfTurn ? answer : undefined
  })
  const { user, system } = process.cpuUsage(cpu)
  const { utilization: busy } = performance.eventLoopUtilization(loop)
  const took: Turn['took'] = { fhir: [], folder: [], hl7: [], stow: [] }
  for (const [i, at] of handed.entries()) took[kindOf(first + i)].push((came.get(first + i) ?? Number.NaN) - at)
  return { took, cpuMs: (user + system) / 1000, busy, pacsTook: stored - before }
}

/** Fills the queue of the PACS, which stands still. */
async function fillPacs(count: number): Promise<void> {
  await ask({ associationMs: null })
  for (let n = 0; n < count; n++) await stage.hand(topics.reports, await make('pacs', ++number))
}

/** It takes no time, until it has all. */
async function emptyPacs(): Promise<void> {
  await ask({ associationMs: 0 })
  await until('the PACS has all', async () => (await waitingFor('pacs')) === 0, { deadlineMs: 600_000 })
}

interface Measured {
  nothing: Turn[]
  still: Turn[]
  slow: Turn[]
}

async function measure(waiting: number, count: number): Promise<Measured> {
  const measured: Measured = { nothing: [], still: [], slow: [] }
  for (let n = 0; n < count; n++) measured.nothing.push(await turn(0))
  await fillPacs(waiting)
  for (let n = 0; n < count; n++) {
    const pair = [
      async () => measured.still.push(await turn(null)),
      async () => measured.slow.push(await turn(associationMs)),
    ]
    for (const one of n % 2 === 0 ? pair : pair.reverse()) await one()
  }
  // Else the last turns were beside a PACS that had nothing to do.
  if ((await waitingFor('pacs')) === 0) throw new Error('the backlog is used up: fewer turns, or a larger one')
  await emptyPacs()
  return measured
}

await measure(Math.ceil(backlog / 4), Math.ceil(turns / 4)) // until everything is compiled
const all: Measured = { nothing: [], still: [], slow: [] }
for (let n = 0; n < rounds; n++) {
  const { nothing, still, slow } = await measure(backlog, turns)
  all.nothing.push(...nothing)
  all.still.push(...still)
  all.slow.push(...slow)
  const perSecond = slow.reduce((sum, { pacsTook }) => sum + pacsTook, 0) / ((turns * reportsOfTurn) / rate)
  console.log(`round ${n + 1}: the PACS took ${round(perSecond, 1)} a second while it went`)
}
await stage.close()
peersProcess.disconnect()
await stores.close()

const tookOf = ({ took }: Turn) => Object.values(took).flat()
const sum = (of: (turn: Turn) => number, some: readonly Turn[]) => some.reduce((total, one) => total + of(one), 0)
function row(what: string, some: readonly Turn[]): Row {
  const took = some.flatMap(tookOf)
  const p99Of = (kind: Kind) =>
    round(
      quantile(
        some.flatMap(one => one.took[kind]),
        0.99,
      ),
      1,
    )
  return {
    what,
    figures: {
      'p50 ms': round(quantile(took, 0.5), 1),
      'p99 ms': round(quantile(took, 0.99), 1),
      ...Object.fromEntries(kinds.map(kind => [`p99 ${kind}`, p99Of(kind)])),
      'CPU ms a report': round(sum(({ cpuMs }) => cpuMs, some) / took.length, 2),
      'main thread busy, %': round((100 * sum(({ busy }) => busy, some)) / some.length, 1),
      reports: took.length,
    },
  }
}
/** Of the turns that followed one another; nothing waited only before them. */
function cost(what: string): Row {
  const pairs = all.still.map((one, n) => ({ without: tookOf(one), beside: tookOf(all.slow[n] ?? one) }))
  const of = (q: number) => {
    const { difference, from, to } = pairedDifference(pairs, q, seeded(1))
    return `${round(difference, 1)} (${round(from, 1)} to ${round(to, 1)})`
  }
  return { what, figures: { 'p50 ms': of(0.5), 'p99 ms': of(0.99) } }
}
const rows = [
  row('nothing waits', all.nothing),
  row(`${backlog} wait for a PACS that stands still`, all.still),
  row(`${backlog} wait for a PACS of ${associationMs} ms an association`, all.slow),
  cost('the last less the second, 95 % interval'),
]
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'deliver', rows }))
