/** What each kind makes of the answers that it gets. */
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { createServer as createTlsServer } from 'node:tls'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../monitoring/clock.ts'
import { platformConfig } from '../../../schemas/config.ts'
import { newDelivery } from '../../../schemas/report-delivery.ts'
import { makeAuthority } from '../../../tests/harness/certificates.ts'
import { imageFile } from '../../../tests/harness/dicom-node.ts'
import { aReport } from '../../../tests/harness/reports.ts'
import { until } from '../../../tests/harness/until.ts'
import { destination } from '../config.ts'
import type { Sender, Undelivered } from '../sender.ts'
import { openSender } from './all.ts'

const cleanup: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close()
})
const never = new AbortController().signal

interface Asked {
  url: string
  headers: IncomingHttpHeaders
  body: Buffer
}

async function server(answer: (asked: Asked, response: ServerResponse) => void) {
  const asked: Asked[] = []
  const http = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => null)
    if (!body) return // broken off by whoever sent it
    const one = { url: request.url ?? '', headers: request.headers, body }
    asked.push(one)
    answer(one, response)
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  cleanup.push(() => {
    http.closeAllConnections()
    http.close()
  })
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked,
    connections: promisify(http.getConnections.bind(http)),
  }
}

async function temp(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-kinds-'))
  cleanup.push(() => rm(folder, { recursive: true }))
  return folder
}

async function open(settings: object, peers: object[] = []): Promise<Sender> {
  const network = { peers: platformConfig.parse({ peers }).peers, dicomTls: null }
  const around = { network, clock: systemClock, documents: {} as never }
  const sender = await openSender(destination.parse({ name: 'there', ...settings }), around)
  cleanup.push(() => sender.close())
  return sender
}

async function send(sender: Sender, bytes: Buffer, format = 'fhir', signal = never) {
  const objects = { put: async () => ({ key: 'k', bytes: bytes.length }) } as never
  const delivery = newDelivery(await aReport({ objects }, 1, { format }), 'there', Date.now())
  return await sender.send({ delivery, bytes }, signal)
}
const refusal = (work: Promise<unknown>): Promise<Undelivered> =>
  work.then(
    () => Promise.reject(new Error('it was taken')),
    thrown => thrown,
  )

const bundle = Buffer.from(JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry: [] }))
const done = JSON.stringify({
  resourceType: 'Bundle',
  type: 'transaction-response',
  entry: [{ response: { status: '201' } }],
})

describe('FHIR', () => {
  it('posts the bundle as it is, with the login of the file as it is now', async () => {
    const folder = await temp()
    const tokenFile = join(folder, 'token')
    await writeFile(tokenFile, 'first\n')
    const there = await server((_, response) => response.end(done))
    const sender = await open({ kind: 'fhir', url: `${there.url}/r4`, tokenFile })
    expect(await send(sender, bundle)).toEqual({ text: 'HTTP 200, 1 entries' })
    await writeFile(tokenFile, 'second\n')
    await send(sender, bundle)
    expect(there.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer first', 'Bearer second'])
    expect(there.asked[0]).toMatchObject({ url: '/r4', body: bundle })
    expect(there.asked[0]?.headers['content-type']).toBe('application/fhir+json')
  })

  it('waits for a file with its login, which says nothing of the report', async () => {
    const there = await server((_, response) => response.end(done))
    const sender = await open({ kind: 'fhir', url: there.url, tokenFile: join(await temp(), 'token') })
    expect(await refusal(send(sender, bundle))).toMatchObject({
      ...{ code: 'peer-unavailable', answered: false, final: false, mayHaveArrived: false },
    })
    expect(there.asked).toEqual([])
  })

  it('knows a refusal of this report from trouble that concerns all of them', async () => {
    let status = 422
    const there = await server((_, response) =>
      response.writeHead(status, { 'retry-after': '7', location: '/x' }).end('Doe^Jane'),
    )
    const sender = await open({ kind: 'fhir', url: there.url })
    const said: Record<number, unknown> = {}
    for (status of [400, 409, 412, 422, 401, 404, 302, 429, 500, 503]) {
      const { final, answered, message, retryAfterMs } = await refusal(send(sender, bundle))
      said[status] = [final, answered]
      expect(retryAfterMs).toBe(7_000)
      expect(message).toBe(`there answered HTTP ${status}`)
    }
    expect(said).toEqual({
      ...{ 400: [true, true], 412: [true, true], 422: [true, true], 409: [false, true] },
      ...{ 401: [false, false], 404: [false, false], 302: [false, false] },
      ...{ 429: [false, true], 500: [false, false], 503: [false, false] },
    })
  })

  it('is given one bundle at a time, as they share patient and device, unless it is to be otherwise', () => {
    const fhir = { name: 'ehr', kind: 'fhir', url: 'http://ehr/r4' }
    expect(destination.parse(fhir).concurrency).toBe(1)
    expect(destination.parse({ ...fhir, concurrency: 3 }).concurrency).toBe(3)
  })

  it('says whether it may have arrived where no answer comes, and takes no other answer for one', async () => {
    const gone = await open({ kind: 'fhir', url: 'http://127.0.0.1:1' })
    expect(await refusal(send(gone, bundle))).toMatchObject({
      code: 'peer-unavailable',
      answered: false,
      mayHaveArrived: false,
    })
    const hangs = await server(() => undefined)
    const slow = await open({ kind: 'fhir', url: hangs.url, timeoutMs: 1_000 })
    expect(await refusal(send(slow, bundle))).toMatchObject({
      code: 'timed-out',
      answered: false,
      mayHaveArrived: true,
    })
    const keeps = await server((_, response) => response.end('{"resourceType":"Bundle","type":"collection"}'))
    expect(await refusal(send(await open({ kind: 'fhir', url: keeps.url }), bundle))).toMatchObject({ final: true })
    const sender = await open({ kind: 'fhir', url: keeps.url })
    expect(await refusal(send(sender, Buffer.from('{"resourceType":"Patient"}')))).toMatchObject({
      code: 'bad-record',
      final: true,
    })
    expect(keeps.asked).toHaveLength(1)
  })
})

describe('STOW-RS', () => {
  const file = imageFile({})
  const peers = (url: string) => [{ name: 'pacs', dicomweb: { url: `${url}/dicom-web/` } }]

  it('sends the file byte for byte as one part', async () => {
    const there = await server((_, response) => response.end('{}'))
    const sender = await open({ kind: 'stow', peer: 'pacs' }, peers(there.url))
    expect(await send(sender, file, 'sr')).toEqual({ text: 'HTTP 200' })
    const [asked] = there.asked
    expect(asked?.url).toBe('/dicom-web/studies')
    expect(asked?.headers['content-type']).toMatch(
      /^multipart\/related; type="application\/dicom"; boundary=raylog-rd_/,
    )
    expect(asked?.body.includes(file)).toBe(true)
  })

  it('is refused where the answer says that the instance failed', async () => {
    let reason = 0x0124
    const failed = () =>
      JSON.stringify({ '00081198': { vr: 'SQ', Value: [{ '00081197': { vr: 'US', Value: [reason] } }] } })
    const there = await server((_, response) => response.writeHead(202).end(failed()))
    const sender = await open({ kind: 'stow', peer: 'pacs' }, peers(there.url))
    expect(await refusal(send(sender, file, 'sr'))).toMatchObject({ final: true, code: 'peer-refused' })
    reason = 0xa700
    expect(await refusal(send(sender, file, 'sr'))).toMatchObject({ final: false, answered: true })
  })
})

describe('a bucket', () => {
  const bucket = { kind: 's3', bucket: 'reports', accessKey: 'a', secretKey: 'b' }

  it('that is to be encrypted by a key of its own needs that key', () => {
    const parse = (more: object) =>
      destination.safeParse({ name: 'there', ...bucket, endpoint: 'http://s3', ...more }).success
    expect(parse({ encryption: 'kms' })).toBe(false)
    expect(parse({ encryption: 'kms', kmsKey: 'k1' })).toBe(true)
  })

  it.each([
    [{ encryption: 'none', kmsKey: 'k1' }, [undefined, undefined]],
    [{ encryption: 's3', kmsKey: 'k1' }, ['AES256', undefined]],
    [{ encryption: 'kms', kmsKey: 'k1' }, ['aws:kms', 'k1']],
  ])('is asked for the encryption of the settings, whatever key they still name: %j', async (settings, asked) => {
    const there = await server((_, response) => response.setHeader('etag', '"1"').end())
    await send(await open({ ...bucket, ...settings, endpoint: there.url }), bundle)
    const { headers = {} } = there.asked[0] ?? {}
    const named = ['x-amz-server-side-encryption', 'x-amz-server-side-encryption-aws-kms-key-id']
    expect(named.map(name => headers[name])).toEqual(asked)
  })

  it('that does not answer keeps nobody who has to stop', async () => {
    const there = await server(() => undefined)
    const sender = await open({ ...bucket, endpoint: there.url })
    const stop = new AbortController()
    const sending = send(sender, bundle, 'fhir', stop.signal)
    await until('it is asked', () => there.asked.length === 1)
    stop.abort(new Error('it stops'))
    await expect(sending).rejects.toThrow('it stops')
    await until('nothing of it is open', async () => (await there.connections()) === 0)
  })

  it('that takes one report is not cut off by another that it does not take', async () => {
    let finish: (() => void) | undefined
    const there = await server(({ url }, response) => {
      response.setHeader('etag', '"1"')
      if (url.includes('csv')) response.writeHead(403).end()
      else finish = () => response.end()
    })
    const folder = await temp()
    const [accessKeyFile, secretKeyFile] = [join(folder, 'access'), join(folder, 'secret')]
    await Promise.all([accessKeyFile, secretKeyFile].map(file => writeFile(file, 'first')))
    const keys = { accessKey: null, secretKey: null, accessKeyFile, secretKeyFile }
    const sender = await open({ ...bucket, ...keys, endpoint: there.url })
    const first = send(sender, bundle)
    await until('it is under way', () => finish)
    await writeFile(accessKeyFile, 'second')
    expect(await refusal(send(sender, bundle, 'csv'))).toMatchObject({ code: 'peer-unavailable', mayHaveArrived: true })
    finish?.()
    expect(await first).toEqual({ text: 'st_1/fhir-r1-rp_1.json' })
    await refusal(send(sender, bundle, 'csv'))
    const used = there.asked.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? '')?.[1])
    expect([...new Set(used)]).toEqual(['first', 'second'])
    await rm(secretKeyFile)
    expect(await refusal(send(sender, bundle))).toMatchObject({ answered: false, mayHaveArrived: false })
  })
})

describe('HL7', () => {
  it('reads its certificates anew after one that did not do', async () => {
    const folder = await temp()
    const [theirs, other] = [makeAuthority(join(folder, 'theirs')), makeAuthority(join(folder, 'other'))]
    const { certFile, keyFile } = theirs.issue({ name: 'ris' })
    const ack = 'MSH|^~\\&|RIS|H|RAYLOG|main|20260101||ACK|1|P|2.5.1\rMSA|AA|A1\r'
    const ris = createTlsServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, socket => {
      socket.on('error', () => undefined).once('data', () => socket.write(`\x0b${ack}\x1c\r`))
    })
    ris.listen(0, '127.0.0.1')
    await once(ris, 'listening')
    cleanup.push(() => ris.close())
    const caFile = join(folder, 'ca.pem')
    await copyFile(other.caFile, caFile)
    const { port } = ris.address() as AddressInfo
    const sender = await open({ kind: 'hl7', host: '127.0.0.1', port, tls: { caFile } })
    const message = Buffer.from('MSH|^~\\&|RAYLOG|main|RIS|H|20260101||ORU^R01|A1|P|2.5.1\r')
    expect(await refusal(send(sender, message, 'hl7'))).toMatchObject({ answered: false, mayHaveArrived: false })
    await copyFile(theirs.caFile, caFile)
    expect(await send(sender, message, 'hl7')).toEqual({ text: 'AA for A1' })
  })
})

describe('a folder', () => {
  it('that cannot be written is waited for', async () => {
    const path = join(await temp(), 'file')
    await writeFile(path, '')
    const sender = await open({ kind: 'folder', path })
    expect(await refusal(send(sender, bundle))).toMatchObject({
      code: 'peer-unavailable',
      answered: false,
      final: false,
    })
    await rm(path)
    expect(await send(sender, bundle)).toEqual({ text: 'st_1/fhir-r1-rp_1.json' })
  })
})
