/** Senders that mean harm, or have gone without saying so, against a real intake. */
import { once } from 'node:events'
import { request } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { createLink } from '../../dicom/link.ts'
import { pdu, writePdu } from '../../dicom/pdu.ts'
import { createHttp } from '../../gateway/http.ts'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { dimse } from '../../producers/dimse/stage.ts'
import { createPace, slowestBytesPerSecond } from '../../producers/pace.ts'
import { upload } from '../../producers/upload/stage.ts'
import { platformConfig } from '../../schemas/config.ts'
import { associate, connectPeer, dataPdus, dataSetOf, statusOf, store } from '../harness/dicom-peer.ts'
import { openProducer } from '../harness/producer.ts'
import { until } from '../harness/until.ts'
import { dicomFile, explicitLittle, secondaryCapture } from './bodies.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const contexts = [{ abstract: secondaryCapture, syntaxes: [explicitLittle] }]
const image = dicomFile({ rows: 64, columns: 64 })
const request4 = store({ sopClass: secondaryCapture, sopInstance: '1.2.3.4' }, dataSetOf(image))

async function startDimse(settings: Record<string, unknown>) {
  const open = await openProducer(dimse, { settings: { port: 0, ...settings } })
  closing.push(open.close)
  return { ...open, port: Number(open.endpoints.dicom?.port) }
}

/** A peer, and our end of its connection. */
async function connected() {
  const server = createServer()
  const accepted = once(server, 'connection')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => server.close())
  const address = server.address()
  const peer = await connectPeer(typeof address === 'object' && address ? address.port : 0)
  closing.push(() => peer[Symbol.dispose]())
  const [socket]: Socket[] = await accepted
  if (!socket) throw new Error('no connection')
  const link = createLink(socket, 131_072)
  closing.push(() => link.destroy())
  return { peer, socket, link }
}

/** Bytes of array buffers that someone holds. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().arrayBuffers
}

describe('a DICOM peer', () => {
  it('that is always ahead of who reads costs no more memory than what waits', async () => {
    const { peer, socket, link } = await connected()
    const before = heldBytes()
    const pieces = 600
    const piece = dataPdus(1, false, Buffer.alloc(60_000), 60_000)
    for (let n = 0; n < pieces; n++) peer.write(piece)
    for (let taken = 0; taken < pieces - 20; taken++) {
      while (!socket.isPaused()) await new Promise(resolve => setImmediate(resolve))
      await link.take(10_000)
    }
    // What is free is swept beside the program: one collection may be counted before its sweep.
    await until('only what waits is held', () => heldBytes() - before < 8_000_000)
  })

  it('cannot fill memory with large PDUs while nobody reads them', async () => {
    const { peer, socket } = await connected()
    const large = writePdu(pdu.associateRq, Buffer.alloc(1024 * 1024))
    for (let i = 0; i < 40; i++) peer.write(large)
    await until('the socket is paused', () => socket.isPaused())
    expect(socket.bytesRead).toBeLessThan(4 * 1024 * 1024)
  })

  it('loses its association when it sends a command in endless empty pieces', async () => {
    const { port } = await startDimse({})
    using peer = await associate(port, { contexts })
    const empty = writePdu(pdu.data, Buffer.from([0, 0, 0, 2, 1, 1]))
    peer.write(Buffer.concat(Array.from({ length: 5_000 }, () => empty)))
    expect(await peer.next()).toMatchObject({ type: pdu.abort })
  })

  it('that sends a byte now and then gives its place to those who wait', async () => {
    const { port, published } = await startDimse({ concurrency: 1, stallMs: 1_000, waitMs: 20_000 })
    using slow = await associate(port, { contexts })
    slow.write(request4.subarray(0, 700))
    const bytes = request4.subarray(700)
    let at = 0
    const drip = setInterval(() => at < bytes.length && slow.write(bytes.subarray(at, ++at)), 20)
    closing.push(() => clearInterval(drip))
    using honest = await associate(port, { contexts })
    honest.write(request4)
    expect(statusOf(await honest.next()).status).toBe(0)
    expect(await slow.next()).toMatchObject({ type: pdu.abort })
    expect(published).toHaveLength(1)
  })

  it('that sends an image a byte at a time, but steadily, has it kept', async () => {
    const { port, published } = await startDimse({ stallMs: 30_000 })
    using peer = await associate(port, { contexts })
    for (const byte of request4) {
      peer.write(Buffer.from([byte]))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(statusOf(await peer.next()).status).toBe(0)
    expect(published).toHaveLength(1)
  })

  it('is told that more frames than can be counted are no image, and no fault of ours', async () => {
    const { port, received } = await startDimse({})
    const lie = dicomFile({ frames: '99999999999' })
    using peer = await associate(port, { contexts })
    peer.write(dataPdus(1, true, Buffer.alloc(0)))
    expect(await peer.next()).toMatchObject({ type: pdu.abort })
    using other = await associate(port, { contexts })
    other.write(store({ sopClass: secondaryCapture, sopInstance: '1.2.3.4' }, dataSetOf(lie)))
    expect(statusOf(await other.next())).toMatchObject({
      status: 0xc000,
      comment: expect.stringContaining('malformed'),
    })
    expect(await received('malformed-dicom')).toBe(1)
  })
})

describe('the pace of a sender', () => {
  it('is looked at over the time in which it was waited for, however that is cut', () => {
    const pace = createPace(1_000)
    for (let i = 0; i < 9; i++) expect(pace.waited(100, 0)).toBe(true)
    expect(pace.waited(100, slowestBytesPerSecond)).toBe(true)
    expect(pace.waited(999, 0)).toBe(true)
    expect(pace.waited(1, 1)).toBe(false)
  })
})

describe('an HTTP sender', () => {
  const token = 'a-token-for-the-tests'

  async function startUpload(settings: Record<string, unknown>) {
    const metrics = createMetrics()
    const logger = pino({ level: 'silent' })
    const http = await createHttp({
      config: platformConfig.parse({ http: { token } }).http,
      token,
      logger,
      health: createHealth(),
      metrics,
      researchUseOnly: true,
    })
    const models = { list: () => [], routes: () => [] }
    const tail = { listen: () => () => undefined }
    const open = await openProducer(upload, { settings, deps: { http, models: models as never, tail } })
    const address = await http.listen({ host: '127.0.0.1', port: 0 })
    closing.push(async () => {
      await http.close()
      await open.close()
    })
    const headers = { authorization: `Bearer ${token}` }
    return { ...open, headers, url: `${address}/api/v1/instances` }
  }

  /** A request of which only the beginning is sent; resolves when the connection is gone. */
  function stalled(url: string, headers: Record<string, string>, begin: Buffer): Promise<void> {
    return new Promise(resolve => {
      const asking = request(url, { method: 'POST', headers })
      closing.push(() => asking.destroy())
      asking.on('error', () => resolve()).on('close', resolve)
      asking.write(begin)
    })
  }

  it('that stops in the middle of an image gives its place to those who wait', async () => {
    const { url, headers, published } = await startUpload({ concurrency: 1, stallMs: 1_000, waitMs: 20_000 })
    const type = { ...headers, 'content-type': 'application/dicom' }
    const gone = stalled(url, { ...type, 'content-length': String(image.length) }, image.subarray(0, 700))
    const answer = await fetch(url, { method: 'POST', headers: type, body: image })
    expect(answer.status).toBe(201)
    await gone
    expect(published).toHaveLength(1)
  })

  it('that stops in the middle of a form, or between its files, is not waited for', async () => {
    const { url, headers, published } = await startUpload({ concurrency: 1, stallMs: 1_000, waitMs: 20_000 })
    const type = { ...headers, 'content-type': 'multipart/form-data; boundary=X', 'content-length': '100000' }
    const file = '--X\r\nContent-Disposition: form-data; name="file"; filename="a.dcm"\r\n\r\n'
    await stalled(url, type, Buffer.concat([Buffer.from(file), image.subarray(0, 700)]))
    await stalled(url, type, Buffer.from(`${file}junk\r\n--X\r\n`))
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/dicom' },
      body: image,
    })
    expect(answer.status).toBe(201)
    expect(published).toHaveLength(1)
  })

  it('is told that a form has too many fields, or one of a name that is not allowed', async () => {
    const { url, headers } = await startUpload({})
    const field = (name: string) => `--X\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nx\r\n`
    const post = async (...names: string[]) => {
      const body = `${names.map(field).join('')}--X--\r\n`
      const type = { ...headers, 'content-type': 'multipart/form-data; boundary=X' }
      const answer = await fetch(url, { method: 'POST', headers: type, body })
      return { status: answer.status, body: await answer.json() }
    }
    expect(await post(...Array.from({ length: 5_000 }, () => 'study'))).toMatchObject({ body: { code: 'too-large' } })
    expect(await post('__proto__')).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })
})
