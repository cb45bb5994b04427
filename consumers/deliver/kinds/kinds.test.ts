/** What each kind makes of the answers that it gets. */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../monitoring/clock.ts'
import { platformConfig } from '../../../schemas/config.ts'
import { newDelivery } from '../../../schemas/report-delivery.ts'
import { imageFile } from '../../../tests/harness/dicom-node.ts'
import { aReport } from '../../../tests/harness/reports.ts'
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
    const body = Buffer.concat(await request.toArray())
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
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, asked }
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

async function send(sender: Sender, bytes: Buffer, format = 'fhir') {
  const objects = { put: async () => ({ key: 'k', bytes: bytes.length }) } as never
  const delivery = newDelivery(await aReport({ objects }, 1, { format }), 'there', Date.now())
  return await sender.send({ delivery, bytes }, never)
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

  it('knows a refusal of this report from trouble that concerns all of them', async () => {
    let status = 422
    const there = await server((_, response) =>
      response.writeHead(status, { 'retry-after': '7', location: '/x' }).end('Doe^Jane'),
    )
    const sender = await open({ kind: 'fhir', url: there.url })
    const said: Record<number, unknown> = {}
    for (status of [400, 422, 401, 404, 302, 429, 500, 503]) {
      const { final, answered, message, retryAfterMs } = await refusal(send(sender, bundle))
      said[status] = [final, answered]
      expect(retryAfterMs).toBe(7_000)
      expect(message).toBe(`there answered HTTP ${status}`)
    }
    expect(said).toEqual({
      ...{ 400: [true, true], 422: [true, true], 401: [false, false], 404: [false, false], 302: [false, false] },
      ...{ 429: [false, true], 500: [false, false], 503: [false, false] },
    })
  })

  it('says whether it may have arrived where no answer comes, and takes no other answer for one', async () => {
    const gone = await open({ kind: 'fhir', url: 'http://127.0.0.1:1' })
    expect(await refusal(send(gone, bundle))).toMatchObject({
      code: 'peer-unavailable',
      answered: false,
      mayHaveArrived: false,
    })
    const hangs = await server(() => undefined)
    const slow = await open({ kind: 'fhir', url: hangs.url, timeoutMs: 100 })
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
