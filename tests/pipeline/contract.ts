/**
 * What the whole of Raylog does, in either mode, in processes of its own: images in over DICOM, HTTP and a folder; predictions, documents, reports,
 * webhooks and live messages out. And a canary: a patient whose name must not be found anywhere but sealed.
 */
import { createHmac } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import dcmjs from 'dcmjs-dimse'
import sharp from 'sharp'
import { io, type Socket } from 'socket.io-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filePrefix } from '../../dicom/part10.ts'
import { chestDicom, chestUids, digitPng, tissuePng } from '../../producers/simulator/phantoms.ts'
import type { Prediction } from '../../schemas/topics.ts'
import { census, isIdle } from '../harness/census.ts'
import { storeAll } from '../harness/cstore.ts'
import type { Raylog } from '../harness/raylog.ts'
import { type Receiver, startReceiver } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'

const secret = 'a-secret-of-the-test'
const canary = 'Zebrafinch'

export interface System extends AsyncDisposable {
  /** Where images come in: over DICOM, into its inbox. */
  intake: Raylog
  /** Where people ask, and upload. */
  gateway: Raylog
  /** All of them, these two included. */
  processes: readonly Raylog[]
  /** Everything that is kept where no name may be found in the clear: by name, the bytes. */
  kept(): Promise<Map<string, Buffer>>
}

const live: { event: string; payload: { event: { id: string; instance?: string } } }[] = []
let receiver: Receiver
let system: System
let socket: Socket

export function pipelineContract(mode: string, start: (settings: readonly string[]) => Promise<System>): void {
  beforeAll(async () => {
    receiver = await startReceiver()
    system = await start([`notify.webhooks=[{url: "${receiver.url}", secret: "${secret}"}]`, 'logLevel=debug'])
    const { url, token } = system.gateway
    socket = io(url, { path: '/live', auth: { token }, transports: ['websocket'] })
    socket.onAny((event: string, payload) => live.push({ event, payload }))
    await new Promise<void>((done, failed) => {
      socket.once('connect', done).once('connect_error', failed)
    })
    await socket.emitWithAck('join', { rooms: ['all'] })
  }, 180_000)

  afterAll(async () => {
    socket?.close()
    await system?.[Symbol.asyncDispose]()
    await receiver?.[Symbol.asyncDispose]()
  })

  describe(`from image to result, ${mode}`, { timeout: 120_000 }, () => {
    it('takes a radiograph over DICOM to documents, a report, a signed webhook and the live page', async () => {
      const dataSet = withElements({ PatientName: `${canary}^Canary`, PatientID: `${canary}-1` })
      const { sopClass, sopInstance } = chestUids(4_711)
      await storeAll(system.intake.dicomPort, [
        { sopClass, sopInstance, transferSyntax: '1.2.840.10008.1.2.1', dataSet },
      ])
      const { instance, predictions, reports, routes } = await finished(await idOf(sopInstance))
      expect(predictions.map(({ model }) => model.name)).toEqual(['pneumonia'])
      expect(predictions[0]).toSatisfy(isTimed)
      expect(routes.filter(({ accepted }) => accepted)).toHaveLength(1)
      expect(instance.patient).toMatch(/^pt_/)

      const pdf = Buffer.from(
        await (await system.gateway.get(`/api/v1/reports/${reports[0]?.id}/object`)).arrayBuffer(),
      )
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')

      const hook = await until('the webhook came', () =>
        receiver.received.find(({ body }) => body.includes(instance.id)),
      )
      const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature } = hook.headers
      const key = signature === `v1,${createHmac('sha256', secret).update(`${id}.${at}.${hook.body}`).digest('base64')}`
      expect(key).toBe(true)

      await until('the live message came', () =>
        live.find(({ event, payload }) => event === 'prediction' && payload.event.instance === instance.id),
      )
    })

    it.for(['png', 'jpeg', 'tiff'] as const)(
      'answers an ordinary prediction request of a %s with the result',
      async format => {
        const seven = await digitPng(1, 7)
        const bytes = await sharp(seven).toFormat(format).toBuffer()
        const response = await upload('/api/v1/predictions', { model: 'digits' }, `seven.${format}`, bytes)
        expect(response.status).toBe(200)
        const answer = (await response.json()) as Pick<Whole, 'instance'>
        expect(answer).toMatchObject({ predictions: [{ label: '7', model: { name: 'digits' } }] })
        const path = `/api/v1/instances/${answer.instance.id}`
        const { instance } = await until('its document is there', () => existing<Whole>(path))
        expect(instance.object.contentType).toBe(`image/${format}`)
        // What is shown is what was sent: JPEG is off by a few grey values of 255, another picture by far more.
        const preview = Buffer.from(await (await system.gateway.get(`${path}/preview`)).arrayBuffer())
        const [shown, sent] = await Promise.all([preview, seven].map(greyOf))
        expect(shown).toHaveLength(sent?.length ?? 0)
        const off = shown?.reduce((sum, grey, at) => sum + Math.abs(grey - (sent?.[at] ?? 0)), 0) ?? 0
        expect(off / (sent?.length ?? 1)).toBeLessThan(3)
      },
    )

    it('takes a file dropped into the folder of a model, and moves it when it is kept', async () => {
      const folder = join(system.intake.inbox, 'breast')
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(system.intake.data, 'tissue.png'), await tissuePng(5))
      renameSync(join(system.intake.data, 'tissue.png'), join(folder, 'tissue.png'))
      await until('the file was taken', () => !readdirSync(folder).includes('tissue.png'))
      const id = await until('it is known', async () => {
        const { items } = await system.gateway.json<{ items: { id: string }[] }>('/api/v1/instances?source=watch')
        return items[0]?.id
      })
      const { predictions } = await finished(id)
      expect(predictions.map(({ model }) => model.name)).toEqual(['breast'])
    })

    it('says why no model took a CT', async () => {
      const uids = chestUids(4_712)
      const ct = '1.2.840.10008.5.1.4.1.1.2'
      const dataSet = withElements({
        Modality: 'CT',
        SOPClassUID: ct,
        SOPInstanceUID: uids.sopInstance,
        StudyInstanceUID: uids.study,
      })
      await storeAll(system.intake.dicomPort, [
        { sopClass: ct, sopInstance: uids.sopInstance, transferSyntax: '1.2.840.10008.1.2.1', dataSet },
      ])
      const { routes } = await system.gateway.json<Whole>(`/api/v1/instances/${await idOf(uids.sopInstance)}`)
      expect(routes.map(({ accepted }) => accepted)).toEqual([false, false, false])
      expect(routes.find(({ model }) => model.name === 'pneumonia')?.reason).toMatch(/modality is CT.*takes.*CR.*DX/)
    })

    it('parks an image whose pixels are damaged, says so, and goes on with its neighbours', async () => {
      const { sopClass, sopInstance } = chestUids(4_713)
      const jpegBaseline = '1.2.840.10008.1.2.4.50'
      const dataSet = withPixels(
        withElements({ SOPInstanceUID: sopInstance, BitsAllocated: 8, BitsStored: 8, HighBit: 7 }),
      )
      await storeAll(system.intake.dicomPort, [{ sopClass, sopInstance, transferSyntax: jpegBaseline, dataSet }])
      const after = await upload('/api/v1/predictions', { model: 'digits' }, 'fine.png', await digitPng(100, 4))
      expect(after.status).toBe(200)
      const parked = await until('it is parked', async () => (await census(system.gateway)).parked[0])
      expect(['truncated', 'decode-failed']).toContain(parked.code)
      expect((await system.gateway.post(`/api/v1/parked/${parked.id}/drop`)).status).toBe(200)
    })

    it('keeps an image in a transfer syntax that nobody knows, says why it is not analysed, and goes on', async () => {
      const chest = inUnknownSyntax({ SOPInstanceUID: chestUids(4_714).sopInstance, Modality: 'DX' })
      const response = await upload('/api/v1/instances', {}, 'chest.dcm', chest)
      expect(response.status).toBe(201)
      const { items } = (await response.json()) as { items: { id: string }[] }
      const parked = await until('it is parked', async () => (await census(system.gateway)).parked[0])
      expect(parked).toMatchObject({ code: 'unknown-transfer-syntax', subject: items[0]?.id })
      expect((await system.gateway.post(`/api/v1/parked/${parked.id}/drop`)).status).toBe(200)

      // One that no model takes comes by the folder, and is not parked: it is there with the reasons.
      const { sopInstance } = chestUids(4_715)
      writeFileSync(join(system.intake.data, 'ct'), inUnknownSyntax({ SOPInstanceUID: sopInstance, Modality: 'CT' }))
      renameSync(join(system.intake.data, 'ct'), join(system.intake.inbox, 'ct'))
      const { routes } = await system.gateway.json<Whole>(`/api/v1/instances/${await idOf(sopInstance)}`)
      expect(routes.map(({ accepted }) => accepted)).toEqual([false, false, false])
      await until('the file was taken', () => !readdirSync(system.intake.inbox).includes('ct'))

      const after = await upload('/api/v1/predictions', { model: 'digits' }, 'fine.png', await digitPng(101, 4))
      expect(after.status).toBe(200)
      await until('nothing is stuck', () => isIdle(system.gateway))
      expect((await census(system.gateway)).parked).toEqual([])
    })

    it('refuses what is not an image with a problem that says what to do', async () => {
      const response = await upload('/api/v1/instances', {}, 'notes.txt', Buffer.from('dear diary'))
      expect(response.status).toBe(422)
      expect(JSON.stringify(await response.json())).toMatch(/not-an-image/)
    })

    it('keeps the canary patient out of everything but the sealed documents', async () => {
      await until('every stage is idle', () => isIdle(system.gateway))
      const metrics = await Promise.all(system.processes.map(async one => (await one.get('/metrics')).text()))
      const said = [
        ...system.processes.map(one => one.logs()),
        ...metrics,
        JSON.stringify(receiver.received),
        JSON.stringify(live),
        JSON.stringify(await census(system.gateway)),
      ]
      for (const text of said) expect(text).not.toMatch(new RegExp(canary, 'i'))
      // The images themselves carry the name, and are not among these; their bytes stay what they were.
      const kept = await system.kept()
      expect(kept.size).toBeGreaterThan(2)
      for (const [name, bytes] of kept) expect(bytes.includes(canary), name).toBe(false)
    })

    it('ends in order when it is told to, with nothing left to do', async () => {
      expect(await Promise.all(system.processes.map(one => one.stop()))).toEqual(system.processes.map(() => 0))
      await Promise.all(system.processes.map(one => one.restart()))
      // The start itself is on the audit trail, which is written like anything else.
      await until('nothing is left to do', () => isIdle(system.gateway))
    })
  })
}

/** A data set with a name of our own, as modalities send them. */
function withElements(elements: Record<string, unknown>): Buffer {
  const own = read(chestDicom(4_711, { size: 64 }))
  return new dcmjs.Dataset({ ...own, ...elements }, '1.2.840.10008.1.2.1').getDenaturalizedDataset()
}

/** A radiograph whose file says a transfer syntax that is none; a data set is explicit little endian where nothing else is known. */
function inUnknownSyntax(elements: { SOPInstanceUID: string; Modality: string }): Buffer {
  const { sopClass } = chestUids(4_711)
  return Buffer.concat([filePrefix(sopClass, elements.SOPInstanceUID, '1.2.3.4.5'), withElements(elements)])
}

/** The data set with an encapsulated frame (PS3.5 A.4) that is no JPEG, in place of its own pixels. */
function withPixels(dataSet: Buffer): Buffer {
  const at = dataSet.indexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]))
  const item = (bytes: Buffer) => {
    const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0])
    head.writeUInt32LE(bytes.length, 4)
    return Buffer.concat([head, bytes])
  }
  const undefinedLength = Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x42, 0, 0, 0xff, 0xff, 0xff, 0xff])
  const end = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])
  return Buffer.concat([
    dataSet.subarray(0, at),
    undefinedLength,
    item(Buffer.alloc(0)),
    item(Buffer.alloc(100, 7)),
    end,
  ])
}

const afterMeta = (file: Buffer) => file.subarray(132 + 12 + file.readUInt32LE(140))
const read = (file: Buffer): Record<string, unknown> =>
  new dcmjs.Dataset(afterMeta(file), '1.2.840.10008.1.2.1').getElements()

function upload(path: string, fields: Record<string, string>, name: string, bytes: Buffer): Promise<Response> {
  const form = new FormData()
  for (const [field, value] of Object.entries(fields)) form.append(field, value)
  form.append('file', new Blob([new Uint8Array(bytes)]), name)
  return system.gateway.post(path, form)
}

/** The documents of an instance once its report is there. */
async function finished(id: string) {
  return until(`${id} is reported`, async () => {
    const found = await system.gateway.json<Whole>(`/api/v1/instances/${id}`)
    return found.reports.length > 0 && found.deliveries.some(({ state }) => state === 'sent') ? found : undefined
  })
}

/**
 * Each step took time, and all of them fit between arrival and result. Of a batch `inferMs` is that of the whole batch, which the image
 * waited for from beginning to end, so it counts in full. Clocks of several processes are read: a quarter of a second is allowed.
 */
function isTimed({ timings, receivedAt, predictedAt }: Whole['predictions'][number]): boolean {
  const { queueMs, fetchMs, decodeMs, prepareMs, inferMs, batch } = timings
  const steps = [fetchMs, decodeMs, prepareMs, inferMs]
  const total = steps.reduce((sum, ms) => sum + ms, queueMs)
  return queueMs >= 0 && steps.every(ms => ms > 0) && batch >= 1 && total <= predictedAt - receivedAt + 250
}

interface Whole {
  instance: { id: string; patient: string | null; object: { contentType: string } }
  predictions: Pick<Prediction, 'id' | 'label' | 'model' | 'timings' | 'receivedAt' | 'predictedAt'>[]
  reports: { id: string; format: string }[]
  deliveries: { state: string }[]
  routes: { accepted: boolean; reason: string; model: { name: string } }[]
}

const greyOf = (image: Buffer): Promise<Buffer> => sharp(image).greyscale().raw().toBuffer()

/** Undefined while it is not there: documents come a moment after the events. */
async function existing<T>(path: string): Promise<T | undefined> {
  const response = await system.gateway.get(path)
  return response.ok ? ((await response.json()) as T) : undefined
}

const idOf = (sopInstance: string) =>
  until(`${sopInstance} is known`, async () => {
    const { items } = await system.gateway.json<{ items: { id: string; dicom: { sopInstance: string } | null }[] }>(
      '/api/v1/instances?limit=1000',
    )
    return items.find(({ dicom }) => dicom?.sopInstance === sopInstance)?.id
  })
