/**
 * Results reach everyone, in distributed mode: studies come by C-STORE and go to Orthanc with storage commitment, a FHIR
 * server, an MLLP receiver, a folder, a mail server and a signed webhook, while `report`, `deliver` and `notify`, each in two
 * processes, are SIGKILLed at random and started again. The receivers count: nothing is lost, and what came twice was said to be
 * possibly sent twice. KILL_INSTANCES, KILLS and KILL_SEED set how many images, how often and when; KILL_ONLY=notify kills that stage
 * alone. The seed is printed.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ReportDeliveryView } from '../../../gateway/api/deliveries.ts'
import type { NoticeView } from '../../../gateway/api/notifications.ts'
import { seeded } from '../../../producers/simulator/random.ts'
import { ids } from '../../../schemas/ids.ts'
import { isIdle, listAll } from '../../harness/census.ts'
import { storeAll } from '../../harness/cstore.ts'
import { hasOrthanc, makeOrthanc, type Orthanc } from '../../harness/orthanc.ts'
import { freePort, type Raylog } from '../../harness/raylog.ts'
import { radiograph } from '../../harness/senders.ts'
import { until } from '../../harness/until.ts'
import { seconds } from '../kafka-kit.ts'
import { type Copy, secret, startFhirEnd, startHl7End, startHookEnd, startMailEnd } from './ends.ts'
import { watchOver } from './faults.ts'
import { startProcesses } from './processes.ts'
import { startServices } from './services.ts'

const imageCount = Number(process.env.KILL_INSTANCES ?? 32)
const killCount = Number(process.env.KILLS ?? 6)
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)
const only = process.env.KILL_ONLY
const perStudy = 2
const studyCount = Math.ceil(imageCount / perStudy)

const groups = {
  steady: ['dimse', 'gateway', 'infer', 'persist'],
  studies: ['assess-study'],
  report: ['report'],
  reportToo: ['report'],
  deliver: ['deliver'],
  deliverToo: ['deliver'],
  notify: ['notify'],
  notifyToo: ['notify'],
} as const

interface Ends {
  folder: string
  orthanc: Orthanc
  fhir: Awaited<ReturnType<typeof startFhirEnd>>
  hl7: Awaited<ReturnType<typeof startHl7End>>
  mail: Awaited<ReturnType<typeof startMailEnd>>
  hook: Awaited<ReturnType<typeof startHookEnd>>
}

/** @param dicomPort ours, where commitments come to */
async function startEnds(stack: AsyncDisposableStack, dicomPort: number): Promise<Ends> {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-ends-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const orthanc = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: dicomPort })
  await orthanc.start()
  stack.defer(() => orthanc.stop())
  const [fhir, hl7, mail, hook] = [
    await startFhirEnd(),
    await startHl7End(),
    await startMailEnd(),
    await startHookEnd(),
  ]
  for (const one of [fhir, hl7, mail, hook]) stack.use(one)
  return { folder, orthanc, fhir, hl7, mail, hook }
}

function settingsOf({ folder, orthanc, fhir, hl7, mail, hook }: Ends, dicomPort: number): string[] {
  const quick = { backoffMs: 100, maxBackoffMs: 500, restMs: 200, maxRestMs: 500 }
  const address = 'martin@h.example'
  const settings = {
    ...{ 'dimse.port': dicomPort, 'kafka.deliveryMs': 2_000, 'kafka.sessionTimeoutMs': 3_000, logLevel: 'warn' },
    ...{ 'assess-study.idleMs': { DX: 1_200 }, 'assess-study.leaseMs': 2_500 },
    peers: [
      {
        ...{ name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', port: orthanc.dicomPort },
        services: ['commitment'],
      },
      { name: 'modality', aeTitle: 'TESTSCU', addresses: ['127.0.0.1'] },
    ],
    'report.formats': ['dicom-sr', 'dicom-pdf', 'fhir', 'hl7', 'json'],
    ...{ 'deliver.leaseMs': 1_500, 'deliver.pollMs': 100 },
    'deliver.destinations': [
      { name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true, ...quick },
      { name: 'fhir', kind: 'fhir', url: fhir.url, ...quick },
      { name: 'ris', kind: 'hl7', host: '127.0.0.1', port: hl7.port, ...quick },
      { name: 'share', kind: 'folder', path: join(folder, 'share'), rules: [{ formats: ['json'] }], ...quick },
    ],
    ...{ 'notify.leaseMs': 1_500, 'notify.lookMs': 100 },
    'notify.channels': [
      {
        ...{ name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port },
        ...{ security: 'none', from: 'Raylog <r@h.example>' },
      },
      { name: 'hook', kind: 'webhook', url: hook.url, secret },
    ],
    'notify.people': [
      { name: 'martin', reach: [{ channel: 'mail', address }, { channel: 'hook' }], mostPerHour: null },
    ],
    'notify.rules': [{ name: 'each', findings: [{ present: null }], to: ['martin'] }],
  }
  return Object.entries(settings).map(([path, value]) => `${path}=${JSON.stringify(value)}`)
}

/** The images of each study together, one study after the other. */
async function sendStudies(dicomPort: number, pace: () => Promise<unknown>): Promise<void> {
  for (let at = 0; at < imageCount; at += perStudy) {
    await pace()
    const numbers = Array.from({ length: Math.min(perStudy, imageCount - at) }, (_, n) => at + n + 1)
    const images = numbers.map(n => radiograph(n, { study: 1 + at / perStudy }))
    expect((await storeAll(dicomPort, images, { associations: 1 })).acknowledged).toHaveLength(images.length)
  }
}

const isOver = ({ state, commitment }: ReportDeliveryView) =>
  state !== 'pending' && state !== 'sending' && commitment?.state !== 'asked'

/** Nothing is left to read, to deliver or to tell, and every study has what it is to have. */
async function settled(gateway: Raylog) {
  const destinations = { pacs: 2, fhir: 1, ris: 1, share: 1 }
  const readers = ['infer', 'persist', 'assess-study', 'report', 'deliver', 'notify']
  return until(
    'everyone has everything',
    async () => {
      if (!(await isIdle(gateway, readers).catch(() => false))) return
      const [deliveries, notices, instances] = await Promise.all([
        listAll<ReportDeliveryView>(gateway, 'deliveries'),
        listAll<NoticeView>(gateway, 'notifications'),
        listAll<{ study: string }>(gateway, 'instances'),
      ])
      const studies = new Set(instances.map(({ study }) => study))
      const told = new Set(notices.map(({ study }) => study))
      const complete = [...studies].every(study =>
        Object.entries(destinations).every(
          ([name, least]) => deliveries.filter(one => one.study === study && one.destination === name).length >= least,
        ),
      )
      const over = deliveries.every(isOver) && notices.every(({ phase }) => phase === 'settled')
      const all = instances.length === imageCount && studies.size === studyCount && told.size === studyCount
      return all && complete && over ? { deliveries, notices } : undefined
    },
    { deadlineMs: 240_000, everyMs: 500 },
  )
}

/** Each notification came, and what came again is marked. @returns how many came again */
function checkCopies(copies: readonly Copy[], notices: readonly NoticeView[], what: string): number {
  expect([...new Set(copies.map(({ notice }) => notice))].sort(), what).toEqual(notices.map(({ id }) => id).sort())
  const all = Map.groupBy(copies, ({ id }) => id)
  // A study that is revised may be told of again, in another edition.
  expect(all.size, what).toBeLessThanOrEqual(notices.reduce((sum, { edition }) => sum + edition, 0))
  for (const [id, [, ...again]] of all)
    for (const copy of again) expect(copy.redelivered, `${what} ${id} came again without saying so`).toBe(true)
  return copies.length - all.size
}

/** What was sent is there, and what is there more than once is marked in its delivery. @returns how many came again */
async function checkDeliveries(deliveries: readonly ReportDeliveryView[], { folder, orthanc, fhir, hl7 }: Ends) {
  const newestAlone = ['fhir', 'ris']
  const odd = deliveries.filter(({ state, destination }) =>
    newestAlone.includes(destination) ? state !== 'sent' && state !== 'superseded' : state !== 'sent',
  )
  expect(odd).toEqual([])
  const sentTo = (name: string) => deliveries.filter(one => one.destination === name && one.state === 'sent')
  const again = { fhir: 0, hl7: 0 }
  for (const one of sentTo('fhir')) {
    const count = fhir.counts.get(ids.studyRevision(one.study, one.revision ?? 0)) ?? 0
    expect(count, `${one.id} to fhir`).toBeGreaterThan(0)
    if (count > 1) expect(one.redelivered, `${one.id} came ${count} times to fhir`).toBe(true)
    again.fhir += count - 1
  }
  for (const one of sentTo('ris')) {
    const count = hl7.counts.get(/for (.*)$/.exec(one.receipt ?? '')?.[1] ?? '') ?? 0
    expect(count, `${one.id} to the RIS`).toBeGreaterThan(0)
    if (count > 1) expect(one.redelivered, `${one.id} came ${count} times to the RIS`).toBe(true)
    again.hl7 += count - 1
  }
  for (const { receipt } of sentTo('share')) expect(existsSync(join(folder, 'share', receipt ?? 'none'))).toBe(true)
  // Repeated, a SOP instance is the same one there, and it promised to keep each.
  expect(await orthanc.get('/instances')).toHaveLength(sentTo('pacs').length)
  expect(sentTo('pacs').filter(({ commitment }) => commitment?.state !== 'kept')).toEqual([])
  return again
}

const title = hasOrthanc ? '' : ' (skipped: needs orthanc and orthanc-dicomweb)'

describe.skipIf(!hasOrthanc)(
  `report, deliver and notify in two processes each, killed at random${title}`,
  { timeout: 3 * 3_600_000 },
  () => {
    it(`bring each result to everyone, over ${killCount} kills or more and ${imageCount} images`, async () => {
      const next = seeded(seed)
      await using stack = new AsyncDisposableStack()
      const dicomPort = await freePort()
      const ends = await startEnds(stack, dicomPort)
      await using services = await startServices()
      await using processes = await startProcesses(services, groups, { set: settingsOf(ends, dicomPort) })
      const { steady, studies: _studies, ...mortal } = processes.of
      const killed = Object.entries(mortal).filter(([name]) => only === undefined || name.startsWith(only))
      await using watch = watchOver(Object.fromEntries(killed))
      const kills = () => watch.mortals.reduce((sum, mortal) => sum + mortal.kills, 0)
      const began = Date.now()
      let sent = false
      // Each kill has a share of the studies come first, so that it meets something on its way.
      let turns = 0
      let begun = 0
      const pace = () =>
        until('it is its turn', () => begun < (turns * studyCount) / killCount, { deadlineMs: 600_000 })
      const { fhir, hl7, mail, hook } = ends
      const underWay = (name: string) => (name.startsWith('deliver') ? fhir.busy + hl7.busy : mail.busy + hook.busy)
      const moment = async (name: string) => {
        turns++
        // From a study's images to its reports; nobody sees from outside when one is made.
        if (name.startsWith('report')) return wait(1_200 + next() * 2_500)
        // Where it was told before its turn there is nothing to wait for.
        await until('something is on its way', () => underWay(name) > 0, { deadlineMs: 15_000 }).catch(() => undefined)
      }
      await Promise.all([
        sendStudies(dicomPort, async () => {
          await pace()
          begun++
        }).finally(() => {
          sent = true
        }),
        watch.killAtRandom(next, [0, 150], () => sent && kills() >= killCount, moment),
      ])
      const { deliveries, notices } = await settled(steady)
      const again = await checkDeliveries(deliveries, ends)
      const mails = ends.mail.mails.map(one => ({
        id: one.header('Message-ID') ?? '',
        notice: one.header('X-Raylog-Notification') ?? '',
        redelivered: one.header('X-Raylog-Redelivered') === 'true',
      }))
      const { copies } = ends.hook
      const told = { mails: checkCopies(mails, notices, 'mail'), webhooks: checkCopies(copies, notices, 'webhook') }
      console.log({
        ...{
          seed,
          killed: Object.fromEntries(watch.mortals.map(one => [one.name, one.kills])),
          images: imageCount,
          took: seconds(Date.now() - began),
        },
        ...{ deliveries: deliveries.length, notices: notices.length, again: { ...again, ...told } },
      })
      expect(notices.map(({ outcome }) => outcome)).toEqual(notices.map(() => 'told'))
      expect(await listAll(steady, 'parked?state=parked')).toEqual([])
      expect(ends.hook.forged()).toBe(0)
      expect(watch.endedAlone).toEqual([])
      await watch.end()
      expect(await Promise.all(processes.all.map(each => each.stop()))).toEqual(processes.all.map(() => 0))
    })
  },
)
