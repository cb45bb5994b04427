/**
 * Reports to systems that are not ours: Orthanc over DIMSE and DICOMweb, and an MLLP receiver in Python.
 * RAYLOG_DELIVERIES sets how many are on their way when Orthanc is killed.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { platformConfig } from '../../schemas/config.ts'
import { topics } from '../../schemas/topics.ts'
import { allOf } from '../../storage/documents.ts'
import { imageFile, openNode } from '../../tests/harness/dicom-node.ts'
import { fieldOf, mllpPython, segmentsOf, startMllpReceiver } from '../../tests/harness/mllp.ts'
import { hasOrthanc, makeOrthanc, type Orthanc } from '../../tests/harness/orthanc.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { aReport } from '../../tests/harness/reports.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { deliver } from './stage.ts'

const many = Number(process.env.RAYLOG_DELIVERIES ?? 1_000)
const receiver = await mllpPython()

let folder = ''
let ourPort = 0
let started: Orthanc | undefined
const orthanc = (): Orthanc => {
  if (!started) throw new Error('Orthanc was not started')
  return started
}
let stores: Stores
const cleanup: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-deliver-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  stores = await openStores()
})
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close()
  await stores.close()
})

async function open(...destinations: object[]): Promise<OpenedStage> {
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, 'secret\n')
  const peers = [
    { name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', port: started?.dicomPort ?? 1, services: [] },
    {
      name: 'web',
      dicomweb: { url: `${started?.url ?? 'http://127.0.0.1:1'}/dicom-web`, username: 'someone', passwordFile },
    },
  ]
  const stage = await openForTest(deliver, stores, {
    settings: { destinations, pollMs: 100 },
    network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
    publish: async () => [],
  })
  cleanup.push(() => stage.close())
  return stage
}

const quick = { backoffMs: 100, maxBackoffMs: 500, restMs: 200, maxRestMs: 500 }
const file = (instance: string) => imageFile({ '00080018': { vr: 'UI', Value: [instance] } })
const over = async (count: number) =>
  await until(
    `${count} are over`,
    async () => (await stores.documents.count('reportDeliveries', { queue: null })) === count,
    {
      deadlineMs: 300_000,
    },
  )
const inFolder = async () =>
  (await readdir(join(folder, 'share'), { recursive: true, withFileTypes: true })).filter(one => one.isFile()).length
const instancesOf = async (series: string) =>
  z
    .array(z.looseObject({ MainDicomTags: z.looseObject({ SOPInstanceUID: z.string() }) }))
    .parse(await orthanc().get(series))

describe.skipIf(!hasOrthanc)(hasOrthanc ? 'Orthanc' : 'Orthanc (skipped: needs orthanc and orthanc-dicomweb)', () => {
  beforeAll(async () => {
    ourPort = await freePort()
    started = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: ourPort }, { slow: true })
    await started.start()
  })
  afterAll(() => started?.stop())

  it(`has every report once that was away, and killed twice in the middle of ${many}, and held up nobody`, async () => {
    const stage = await open(
      { name: 'pacs', kind: 'dicom', peer: 'pacs', concurrency: 4, ...quick },
      { name: 'share', kind: 'folder', path: join(folder, 'share') },
    )
    const instance = (n: number) => `2.25.11${n}`
    const there = () => stores.documents.count('reportDeliveries', { destination: 'pacs', state: 'sent' })
    await orthanc().stop()
    for (let n = 0; n < many; n++)
      await stage.hand(topics.reports, await aReport(stores, n, { format: 'sr', content: file(instance(n)) }))
    await until('the folder has all of them', async () => (await inFolder()) === many)
    await until('the PACS is left alone', async () => {
      const [term] = (await stores.documents.find('reportQueues', { where: { destination: 'pacs' }, limit: 1 })).items
      return term?.breaker === 'open' && term.failingSince !== null
    })
    expect(await there()).toBe(0)

    const began = performance.now()
    const atKills: number[] = []
    for (let last = 0; atKills.length < 2; atKills.push(last)) {
      await orthanc().start()
      await until('some more are there', async () => (await there()) >= last + many / 6)
      await orthanc().kill()
      last = await there()
      expect(last, 'it was in the middle of them').toBeLessThan(many)
    }
    await orthanc().start()
    await over(2 * many)
    const tookMs = Math.round(performance.now() - began)
    expect(await stores.documents.countBy('reportDeliveries', 'state')).toEqual({ sent: 2 * many })
    const found = (await instancesOf('/instances?expand')).map(({ MainDicomTags }) => MainDicomTags.SOPInstanceUID)
    expect(found.sort()).toEqual(Array.from({ length: many }, (_, n) => instance(n)).sort())
    const toPacs = await allOf(stores.documents, 'reportDeliveries', { destination: 'pacs' })
    const again = toPacs.filter(({ redelivered }) => redelivered).length
    console.log({ reports: many, atKills, again, tookMs })
  })

  it('answers a storage commitment on our DICOM port', async () => {
    const us = await openNode({
      stores,
      settings: { port: ourPort },
      network: { peers: [{ name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', services: ['commitment'] }] },
    })
    cleanup.push(async () => await us[Symbol.asyncDispose]())
    const stage = await open({ name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true, ...quick })
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'sr', content: file('2.25.220') }))
    await over(1)
    const [delivery] = (await stores.documents.find('reportDeliveries')).items
    expect(delivery?.receipt).toBe('C-STORE 0x0000, commitment asked')
    const answered = await until('Orthanc has answered', async () => {
      const asked = await stores.documents.get('commitmentsAsked', delivery?.commitment ?? '')
      return asked?.state === 'asked' ? undefined : asked
    })
    expect(answered).toMatchObject({ state: 'kept', peer: 'ORTHANC', failures: [] })
  })

  it('takes reports over STOW-RS, the same one twice as one, and refuses none for a wrong password', async () => {
    const stage = await open({ name: 'web', kind: 'stow', peer: 'web', ...quick })
    const first = await aReport(stores, 1, { format: 'sr', content: file('2.25.330') })
    await stage.hand(topics.reports, first)
    await stage.hand(topics.reports, { ...first, id: 'rp_again' })
    await over(2)
    expect(await stores.documents.countBy('reportDeliveries', 'state')).toEqual({ sent: 2 })
    const found = (await instancesOf('/instances?expand')).filter(
      ({ MainDicomTags }) => MainDicomTags.SOPInstanceUID === '2.25.330',
    )
    expect(found).toHaveLength(1)
    await writeFile(join(folder, 'password'), 'wrong\n')
    await stage.hand(topics.reports, await aReport(stores, 2, { format: 'sr', content: file('2.25.331') }))
    await until('it waits', async () => {
      const { items } = await stores.documents.find('reportDeliveries', { where: { state: 'pending' } })
      return items[0]?.message === 'web answered HTTP 401'
    })
    await writeFile(join(folder, 'password'), 'secret\n')
    await over(3)
  })
})

describe.skipIf('missing' in receiver)(
  'missing' in receiver ? `MLLP (skipped: ${receiver.missing})` : 'an MLLP receiver',
  () => {
    it('reads our messages, and what it acknowledges is what we keep', async () => {
      const mllp = await startMllpReceiver('python' in receiver ? receiver.python : '')
      cleanup.push(() => mllp[Symbol.asyncDispose]())
      const stage = await open({
        name: 'ris',
        kind: 'hl7',
        host: '127.0.0.1',
        port: mllp.port,
        concurrency: 4,
        ...quick,
      })
      const message = (id: string) =>
        Buffer.from(
          `MSH|^~\\&|RAYLOG|main|RIS|HOSP|20260101||ORU^R01^ORU_R01|${id}|P|2.5.1||||||UNICODE UTF-8\rPID|1||7||Жук^Анна\r`,
        )
      const idsSent = [...Array.from({ length: 20 }, (_, n) => `AA${n}`), 'AR1']
      for (const [n, id] of idsSent.entries())
        await stage.hand(topics.reports, await aReport(stores, n, { format: 'hl7', content: message(id) }))
      await over(21)
      expect(await stores.documents.countBy('reportDeliveries', 'state')).toEqual({ sent: 20, refused: 1 })
      await until('it has noted them', () => mllp.messages.length === 21)
      const ofEach = (segment: string, field: number) =>
        mllp.messages.map(message => fieldOf(segmentsOf(message, segment)[0], field).join('^'))
      expect(ofEach('MSH', 10).sort()).toEqual(idsSent.toSorted())
      expect(new Set(ofEach('PID', 5))).toEqual(new Set(['Жук^Анна']))
    })
  },
)
