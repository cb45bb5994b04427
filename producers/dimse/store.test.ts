import dcmjs from 'dcmjs-dimse'
import { afterEach, describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { associate, dataSetOf, explicitLittle, statusOf, store } from '../../tests/harness/dicom-peer.ts'
import { type OpenProducer, openProducer, type ProducerOptions } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import { dimse } from './stage.ts'

let open: OpenProducer | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

async function start(options: ProducerOptions = {}): Promise<OpenProducer & { port: number }> {
  const settings = { port: 0, ...Object(options.settings) }
  const stage = await openProducer(dimse, { ...options, settings })
  open = stage
  return Object.assign(stage, { port: Number(stage.endpoints.dicom?.port) })
}

const dx = chestUids(1).sopClass
const proposal = { contexts: [{ abstract: dx, syntaxes: [explicitLittle] }], calling: 'MODALITY' }
const requestOf = (seed: number) => ({ sopClass: dx, sopInstance: chestUids(seed).sopInstance })

async function send(port: number, bytes: Buffer): Promise<{ status: number; comment: string }> {
  using peer = await associate(port, proposal)
  peer.write(bytes)
  return statusOf(await peer.next())
}

describe('C-STORE', () => {
  it('keeps the image and puts its event on the log before it says "stored"', async () => {
    const stage = await start()
    const file = chestDicom(5)
    expect(await send(stage.port, store(requestOf(5), dataSetOf(file)))).toEqual({ status: 0, comment: '' })
    const [event] = stage.published
    const uids = chestUids(5)
    expect(event).toMatchObject({
      study: ids.study('main', uids.study),
      source: { kind: 'dimse', peer: 'MODALITY' },
      dicom: { ...uids, transferSyntax: explicitLittle },
      modality: 'DX',
      bodyPart: 'CHEST',
      rows: 256,
      requested: [],
    })
    expect(event?.patient).toMatch(/./)
    const object = await stage.stores.objects.get(event?.object.key ?? '')
    expect(dataSetOf(object).equals(dataSetOf(file))).toBe(true)
    // No name, id or birth date on the log or in a log line.
    expect(JSON.stringify(stage.published) + stage.logs()).not.toMatch(/Demo|DEMO|19700101/)
    expect(await stage.received('accepted')).toBe(1)
  })

  it('makes one object and one instance of an image that two senders send', async () => {
    const stage = await start()
    const bytes = store(requestOf(5), dataSetOf(chestDicom(5)))
    using first = await associate(stage.port, { ...proposal, calling: 'ONE' })
    using second = await associate(stage.port, { ...proposal, calling: 'TWO' })
    for (const peer of [first, second]) {
      peer.write(bytes)
      expect(statusOf(await peer.next()).status).toBe(0)
    }
    expect(new Set(stage.published.map(event => event.id)).size).toBe(1)
    expect(stage.published).toHaveLength(2)
    expect(await stage.objectCount()).toBe(1)
  })

  it('answers many requests of one association in their order, also when they are sent without waiting', async () => {
    const stage = await start()
    using peer = await associate(stage.port, proposal)
    peer.write(Buffer.concat([1, 2, 3].map(seed => store(requestOf(seed), dataSetOf(chestDicom(seed)), 5_000))))
    for (let i = 0; i < 3; i++) expect(statusOf(await peer.next()).status).toBe(0)
    expect(stage.published.map(event => event.dicom?.sopInstance)).toEqual(
      [1, 2, 3].map(seed => chestUids(seed).sopInstance),
    )
  })

  it('streams an image that is larger than what it holds', async () => {
    const stage = await start()
    const file = chestDicom(3, { size: 1024 })
    expect((await send(stage.port, store(requestOf(3), dataSetOf(file), 100_000))).status).toBe(0)
    const object = await stage.stores.objects.get(stage.published[0]?.object.key ?? '')
    expect(dataSetOf(object).equals(dataSetOf(file))).toBe(true)
  })

  it('refuses a data set that is not what the request said, with 0xA900, and keeps nothing', async () => {
    const stage = await start()
    const { status, comment } = await send(stage.port, store(requestOf(6), dataSetOf(chestDicom(5))))
    expect(status).toBe(0xa900)
    expect(comment).toMatch(/^identity-mismatch: /)
    expect(comment.length).toBeLessThanOrEqual(64)
    expect(await stage.objectCount()).toBe(0)
    expect(await stage.received('identity-mismatch')).toBe(1)
  })

  it('finds out so for a large image too, before the rest of it has come', async () => {
    const stage = await start()
    expect((await send(stage.port, store(requestOf(6), dataSetOf(chestDicom(5, { size: 1024 }))))).status).toBe(0xa900)
    expect(await stage.objectCount()).toBe(0)
  })

  it('refuses rubbish and data that end too early with 0xC000, and goes on with the next', async () => {
    const stage = await start()
    using peer = await associate(stage.port, proposal)
    const whole = dataSetOf(chestDicom(5))
    for (const data of [Buffer.alloc(5_000, 0x5a), whole.subarray(0, 90_000), Buffer.alloc(0)]) {
      peer.write(store(requestOf(5), data))
      expect(statusOf(await peer.next()).status).toBe(0xc000)
    }
    peer.write(store(requestOf(5), whole))
    expect(statusOf(await peer.next()).status).toBe(0)
    expect(await stage.objectCount()).toBe(1)
  })

  it('says 0xA700 while the disk is full, reads past the data, and works again by itself', async () => {
    let full = true
    const stage = await start()
    const { objects } = stage.stores
    const put = objects.put
    objects.put = (bytes, type) =>
      full ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })) : put(bytes, type)
    using peer = await associate(stage.port, proposal)
    const bytes = store(requestOf(5), dataSetOf(chestDicom(5)))
    peer.write(bytes)
    const refused = statusOf(await peer.next())
    expect(refused.status).toBe(0xa700)
    expect(refused.comment).toMatch(/^store-full/)
    full = false
    peer.write(bytes)
    expect(statusOf(await peer.next()).status).toBe(0)
  })

  it('says 0xA700 when the log is away: an image without its event was not stored', async () => {
    const stage = await start({
      publishing: () => Promise.reject(new RaylogError('log-unavailable', 'no broker')),
    })
    expect((await send(stage.port, store(requestOf(5), dataSetOf(chestDicom(5))))).status).toBe(0xa700)
    expect(stage.published).toHaveLength(0)
  })

  it('refuses more than maxBytes, also when that shows only after much of it was written', async () => {
    const stage = await start({ settings: { maxBytes: 1_500_000 } })
    const { status, comment } = await send(stage.port, store(requestOf(5), dataSetOf(chestDicom(5, { size: 1024 }))))
    // Not "out of resources" (0xA700), which senders try again and again.
    expect({ status, comment }).toMatchObject({ status: 0xc000, comment: expect.stringMatching(/^too-large/) })
    expect(await stage.objectCount()).toBe(0)
  })

  it('forgets an image whose sender vanishes in the middle of it', async () => {
    const stage = await start()
    const peer = await associate(stage.port, proposal)
    const bytes = store(requestOf(5), dataSetOf(chestDicom(5, { size: 1024 })))
    peer.write(bytes.subarray(0, 1_500_000))
    await until('the image is being received', async () => peer.socket.writableLength === 0)
    peer.socket.resetAndDestroy()
    await until('it is given up', async () => (await stage.received('truncated')) === 1)
    expect(await stage.objectCount()).toBe(0)
    expect((await send(stage.port, store(requestOf(6), dataSetOf(chestDicom(6))))).status).toBe(0)
  })

  it('makes the sender wait, instead of holding its data, while the store is slow', async () => {
    const stage = await start()
    const gate = Promise.withResolvers<void>()
    const { objects } = stage.stores
    const writer = objects.writer
    objects.writer = async () => {
      const real = await writer()
      return {
        ...real,
        async write(chunk) {
          await gate.promise
          await real.write(chunk)
        },
      }
    }
    using peer = await associate(stage.port, proposal)
    // More than the kernel's buffers on both sides, and than our own queue.
    const file = chestDicom(5, { size: 1024 })
    const large = Buffer.concat([dataSetOf(file), privateElement(40_000_000)])
    peer.write(store(requestOf(5), large, 16_000))
    let before = -1
    await until(
      'nothing more is taken from the sender',
      () => {
        const same = peer.socket.writableLength === before
        before = peer.socket.writableLength
        return same
      },
      { everyMs: 200 },
    )
    expect(before).toBeGreaterThan(20_000_000)
    gate.resolve()
    expect(statusOf(await peer.next()).status).toBe(0)
  })

  it('takes no more images at once than it may, and tells those who waited too long to come back', async () => {
    const gate = Promise.withResolvers<void>()
    const stage = await start({ settings: { concurrency: 1, waitMs: 20 }, publishing: () => gate.promise })
    using first = await associate(stage.port, proposal)
    first.write(store(requestOf(1), dataSetOf(chestDicom(1))))
    await until('the first is under way', () =>
      stage.stores.objects
        .list()
        [Symbol.asyncIterator]()
        .next()
        .then(r => !r.done),
    )
    const { status, comment } = await send(stage.port, store(requestOf(2), dataSetOf(chestDicom(2))))
    expect({ status, comment }).toMatchObject({ status: 0xa700, comment: expect.stringMatching(/^busy/) })
    gate.resolve()
    expect(statusOf(await first.next()).status).toBe(0)
  })

  it('answers what is under way when it stops, and takes nothing new', async () => {
    const gate = Promise.withResolvers<void>()
    const stage = await start({ publishing: () => gate.promise })
    using busy = await associate(stage.port, proposal)
    using idle = await associate(stage.port, proposal)
    busy.write(store(requestOf(1), dataSetOf(chestDicom(1))))
    await until('it is under way', async () => (await stage.objectCount()) === 1)
    const drained = stage.drain()
    expect(await idle.next()).toMatchObject({ type: 7 })
    await expect(associate(stage.port, proposal)).rejects.toThrow()
    gate.resolve()
    expect(statusOf(await busy.next()).status).toBe(0)
    expect(await busy.next()).toMatchObject({ type: 7 })
    await drained
    expect(stage.published).toHaveLength(1)
  })

  it("takes what dcmjs-dimse's client sends", async () => {
    const stage = await start()
    dcmjs.log.setLevel('silent')
    const { Dataset, Client, requests } = dcmjs
    const client = new Client()
    const statuses: number[] = []
    client.addRequest(new requests.CEchoRequest())
    for (let seed = 1; seed <= 3; seed++) {
      const request = new requests.CStoreRequest(new Dataset(dataSetOf(chestDicom(seed)), explicitLittle))
      client.addRequest(request)
      request.on('response', response => statuses.push(response.getStatus()))
    }
    const closed = new Promise(resolve => client.on('closed', () => resolve(undefined)))
    client.send('127.0.0.1', stage.port, 'DCMJS', 'RAYLOG')
    await closed
    expect(statuses).toEqual([0, 0, 0])
    expect(stage.published.map(event => event.dicom?.sopInstance)).toEqual(
      [1, 2, 3].map(seed => chestUids(seed).sopInstance),
    )
  })
})

/** A private element after the pixels, to make a data set as large as a test wants. */
function privateElement(bytes: number): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16LE(0x7fe1, 0)
  header.writeUInt16LE(0x1010, 2)
  header.write('OB', 4, 'latin1')
  header.writeUInt32LE(bytes, 8)
  return Buffer.concat([header, Buffer.alloc(bytes)])
}
