/** QIDO-RS, WADO-RS and STOW-RS over HTTP: what clients send, what is answered, and what rubbish does. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readFileMeta } from '../../dicom/part10.ts'
import { decodeFrame } from '../../models/imaging/decode.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { until } from '../harness/until.ts'
import { boundary, fixture, type Kit, openDicomweb, partsOf, related, token } from './kit.ts'

let kit: Kit
const files = new Map<string, Buffer>()
/** UIDs of what was stored, by file. */
const stored = new Map<string, { study: string; series: string; instance: string; path: string }>()

beforeAll(async () => {
  kit = await openDicomweb({ dicomweb: { maxResults: 20 } })
  for (const name of ['implicit-i16.dcm', 'rle-frames.dcm', 'rgb.dcm', 'jpeg-50-grey.dcm', 'palette-8.dcm'])
    files.set(name, await fixture(name))
  for (const [name, bytes] of files) {
    const answer = JSON.parse(await (await kit.store([bytes])).text())
    const url: string = answer['00081199'].Value[0]['00081190'].Value[0]
    const [, study = '', series = '', instance = ''] = /studies\/(.+)\/series\/(.+)\/instances\/(.+)$/.exec(url) ?? []
    stored.set(name, { study, series, instance, path: url.slice(kit.base.length) })
  }
})
afterAll(() => kit.close())

const of = (name: string) => stored.get(name) ?? { study: '', series: '', instance: '', path: '' }
const bytesOf = (name: string) => files.get(name) ?? Buffer.alloc(0)

async function problem(answer: Response) {
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
  return JSON.parse(await answer.text())
}

describe('STOW-RS', () => {
  it('answers 200 with the addresses of what is stored, and stores it as it came', async () => {
    const name = 'rgb.dcm'
    const answer = await kit.store([bytesOf(name)])
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/dicom+json'])
    const { study, instance } = of(name)
    const body = JSON.parse(await answer.text())
    expect(body['00081190']).toEqual({ vr: 'UR', Value: [`${kit.base}/studies/${study}`] })
    expect(body['00081199'].Value).toMatchObject([{ '00081155': { vr: 'UI', Value: [instance] } }])
    expect(Object.keys(body)).not.toContain('00081198')
  })

  it('answers 202 and a reason for each object that is refused, with its UIDs where it says them', async () => {
    const good = bytesOf('rgb.dcm')
    const cut = bytesOf('implicit-i16.dcm').subarray(0, -10)
    const noSeries = Buffer.from(bytesOf('rle-frames.dcm'))
    noSeries[noSeries.indexOf(Buffer.from('20000e005549', 'hex')) + 2] = 0x0f
    const answer = await kit.store([good, cut, noSeries, Buffer.from('no DICOM at all'), await fixture('grey.png')])
    expect(answer.status).toBe(202)
    const body = JSON.parse(await answer.text())
    expect(body['00081199'].Value).toHaveLength(1)
    expect(body['00081198'].Value).toMatchObject([
      { '00081155': { Value: [of('implicit-i16.dcm').instance] }, '00081197': { vr: 'US', Value: [0xc000] } },
      { '00081155': { Value: [of('rle-frames.dcm').instance] }, '00081197': { vr: 'US', Value: [0xc000] } },
    ])
    expect(body['0008119A'].Value).toHaveLength(2)
  })

  it('answers 409 where nothing could be stored', async () => {
    const answer = await kit.store([Buffer.from('rubbish')])
    expect(answer.status).toBe(409)
    expect(JSON.parse(await answer.text())['00081199']).toBeUndefined()
  })

  it('refuses an object of another study than the address names', async () => {
    const answer = await kit.store([bytesOf('rgb.dcm')], '/studies/1.2.3.4')
    expect(answer.status).toBe(409)
    expect(JSON.parse(await answer.text())['00081198'].Value[0]['00081197'].Value).toEqual([0xa900])
  })

  it('takes one object as the body', async () => {
    const headers = { 'content-type': 'application/dicom' }
    const answer = await kit.ask('/studies', { method: 'POST', headers, body: Uint8Array.from(bytesOf('rgb.dcm')) })
    expect(answer.status).toBe(200)
  })

  it('says 503 where the log is away, and acknowledges nothing', async () => {
    await using stack = new AsyncDisposableStack()
    const away = stack.adopt(
      await openDicomweb({
        publishing: () => Promise.reject(new RaylogError('log-unavailable', 'the log does not answer')),
      }),
      each => each.close(),
    )
    const answer = await away.store([bytesOf('rgb.dcm')])
    expect([answer.status, (await problem(answer)).code]).toEqual([503, 'log-unavailable'])
    expect(await away.json('/instances')).toEqual([])
  })

  it('needs the token', async () => {
    const answer = await fetch(`${kit.base}/studies`, { headers: { authorization: 'Bearer wrong' } })
    expect(answer.status).toBe(401)
  })

  const type = `multipart/related; type="application/dicom"; boundary=${boundary}`
  const post = (body: string, contentType = type) =>
    kit.ask('/studies', { method: 'POST', headers: { 'content-type': contentType }, body })

  it.each<[string, string, string, number, string]>([
    ['a body that is none', type, 'rubbish without any boundary', 400, 'bad-request'],
    ['an empty body', type, '', 400, 'empty-upload'],
    ['a part without an end', type, `--${boundary}\r\n\r\nDICM`, 422, 'truncated'],
    ['a boundary with something behind it', type, `--${boundary}X\r\n\r\nrubbish`, 400, 'bad-request'],
    ['headers without an end', type, `--${boundary}\r\n${'X: y\r\n'.repeat(10_000)}`, 400, 'bad-request'],
    ['no parts', type, `--${boundary}--\r\n`, 400, 'empty-upload'],
    ['no boundary', 'multipart/related; type="application/dicom"', 'x', 400, 'bad-request'],
    ['a boundary that is too long', `multipart/related; boundary=${'b'.repeat(201)}`, 'x', 400, 'bad-request'],
    ['other parts', `multipart/related; type="application/dicom+xml"; boundary=x`, '--x--', 415, 'not-an-image'],
    ['another type', 'text/plain', 'x', 415, 'not-an-image'],
  ])('tells %s by a problem', async (_, contentType, body, status, code) => {
    const answer = await post(body, contentType)
    expect([answer.status, (await problem(answer)).code]).toEqual([status, code])
  })

  it('reads parts whose headers, line ends and boundaries are cut anywhere', async () => {
    const object = bytesOf('rgb.dcm')
    const whole = Buffer.concat([
      Buffer.from(`preamble\r\n--${boundary} \t\r\n\r\n`),
      object,
      Buffer.from(`\r\n--${boundary}\r\ncontent-TYPE:application/dicom\r\n\r\n`),
      object,
      Buffer.from(`\r\n--${boundary}--epilogue`),
    ])
    for (const size of [1000, 97, 61]) {
      async function* pieces() {
        for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size)
      }
      const answer = await kit.ask('/studies', {
        method: 'POST',
        headers: { 'content-type': type },
        body: ReadableStream.from(pieces()),
        duplex: 'half',
      } as RequestInit)
      expect(answer.status).toBe(200)
      expect(JSON.parse(await answer.text())['00081199'].Value).toHaveLength(2)
    }
  })

  it('lets go of a sender that vanishes in the middle of 2 GB, and of a part that is longer than the limit', async () => {
    await using stack = new AsyncDisposableStack()
    const small = stack.adopt(await openDicomweb({ settings: { maxBytes: 100_000 } }), each => each.close())
    const { hostname, port } = new URL(small.base)
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    const head = `POST /dicomweb/studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${type}\r\nContent-Length: 2147483648\r\n\r\n--${boundary}\r\n\r\n`
    socket.write(head)
    socket.write(bytesOf('implicit-i16.dcm').subarray(0, 1_000))
    const inside = () => small.stores.metrics.received.get()
    await until('the request is being read', () => socket.writableLength === 0)
    socket.destroy()
    await until('its end is counted', async () =>
      (await inside()).values.some(({ labels }) => labels.outcome === 'truncated'),
    )
    const answer = await small.store([Buffer.concat([bytesOf('rgb.dcm'), Buffer.alloc(200_000)]), bytesOf('rgb.dcm')])
    expect(answer.status).toBe(202)
    await small.producer.drain()
    expect(await small.producer.objectCount()).toBe(1)
  })
})

describe('QIDO-RS', () => {
  it('lists studies as DICOM JSON, with what each always has', async () => {
    const { study, path } = of('rgb.dcm')
    const [found, ...rest] = await kit.json(`/studies?StudyInstanceUID=${study}`)
    expect(rest).toEqual([])
    expect(found).toMatchObject({
      '0020000D': { vr: 'UI', Value: [study] },
      '00081190': { vr: 'UR', Value: [`${kit.base}${path.split('/series')[0]}`] },
      '00201206': { vr: 'IS', Value: [1] },
      '00080056': { vr: 'CS', Value: ['ONLINE'] },
      '00100020': { vr: 'LO' },
    })
  })

  it('lists series and instances, nested and not', async () => {
    const { study, series, instance } = of('rle-frames.dcm')
    for (const path of [`/studies/${study}/series`, `/series?SeriesInstanceUID=${series}`])
      expect(await kit.json(path)).toMatchObject([{ '0020000E': { Value: [series] }, '0020000D': { Value: [study] } }])
    expect(await kit.json(`/studies/${study}/series/${series}/instances`)).toHaveLength(stored.size)
    const all = [
      `/studies/${study}/series/${series}/instances?SOPInstanceUID=${instance}`,
      `/studies/${study}/instances?SOPInstanceUID=${instance}`,
      `/instances?0020000E=${series}&00080018=${instance},1.2.3`,
    ]
    for (const path of all)
      expect(await kit.json(path)).toMatchObject([
        {
          '00080018': { vr: 'UI', Value: [instance] },
          '00083002': { vr: 'UI', Value: ['1.2.840.10008.1.2.5'] },
          '00280010': { vr: 'US' },
        },
      ])
    expect(await kit.json('/studies/1.2.3/series')).toEqual([])
  })

  it('gives fields that are asked for, and all', async () => {
    const { study, instance } = of('rgb.dcm')
    const [plain] = await kit.json(`/studies/${study}/series`)
    expect(Object.keys(plain ?? {})).not.toContain('00081030')
    const [some] = await kit.json(
      `/studies/${study}/series?includefield=StudyDescription,00080070&includefield=00100010`,
    )
    expect(Object.keys(some ?? {})).toEqual(expect.arrayContaining(['00081030', '00080070', '00100010']))
    const [all] = await kit.json(`/studies/${study}/instances?SOPInstanceUID=${instance}&includefield=all`)
    expect(all).toMatchObject({ '00280004': { vr: 'CS', Value: ['RGB'] } })
  })

  it('passes over, stops, and says that there is more', async () => {
    const all = await kit.json('/instances')
    expect(all).toHaveLength(stored.size)
    const answer = await kit.ask('/instances?limit=2&offset=1')
    expect(answer.headers.get('warning')).toContain('additional results')
    expect(JSON.parse(await answer.text())).toEqual(all.slice(1, 3))
    const last = await kit.ask(`/instances?offset=${stored.size - 1}&limit=5`)
    expect([JSON.parse(await last.text()), last.headers.get('warning')]).toEqual([all.slice(-1), null])
    expect(await kit.json('/instances?limit=0')).toEqual([])
  })

  it('warns of what it does not do: fuzzy matching, keys that are not indexed', async () => {
    const fuzzy = await kit.ask('/studies?fuzzymatching=true&PatientName=nobody')
    expect(fuzzy.headers.get('warning')).toBe(
      '299 raylog "The fuzzymatching parameter is not supported. Only literal matching has been performed."',
    )
    expect((await kit.ask('/studies?fuzzymatching=false')).headers.get('warning')).toBeNull()
    expect((await kit.ask('/studies?00189999=x')).headers.get('warning')).toContain('00189999')
  })

  it.each([
    '/studies?limit=-1',
    '/studies?offset=x',
    '/studies?fuzzymatching=maybe',
    '/studies?StudyDate=yesterday',
    "/studies?a'b=1",
    '/studies/not-a-uid/series',
  ])('refuses %s', async path => {
    const answer = await kit.ask(path)
    expect([answer.status, (await problem(answer)).code]).toEqual([400, 'bad-request'])
  })
})

describe('WADO-RS', () => {
  const asStored = 'multipart/related; type="application/dicom"; transfer-syntax=*'
  const [implicitLittle, explicitLittle, deflated, rle] = ['', '.1', '.1.99', '.5'].map(
    end => `1.2.840.10008.1.2${end}`,
  )

  it('gives objects as they were stored: study, series, instance', async () => {
    for (const name of files.keys()) {
      const { study, series, path } = of(name)
      for (const address of [`/studies/${study}/series/${series}`, path]) {
        const answer = await kit.ask(address, { headers: { accept: asStored } })
        expect(answer.headers.get('content-type')).toMatch(/^multipart\/related; type="application\/dicom"; boundary=/)
        const parts = await partsOf(answer)
        expect(parts.some(({ body }) => body.equals(bytesOf(name)))).toBe(true)
        expect(parts[0]?.headers['content-type']).toMatch(/^application\/dicom; transfer-syntax=1\.2/)
      }
    }
  })

  /** What a file says of itself, and its last frame in full. */
  async function shown(file: Buffer, frame: number) {
    const { transferSyntax } = readFileMeta(file) ?? {}
    return { transferSyntax, samples: (await decodeFrame(file, frame)).samples }
  }

  it.each([
    ['rle-frames.dcm', explicitLittle, 2],
    ['rle-frames.dcm', implicitLittle, 2],
    ['rle-frames.dcm', deflated, 2],
    ['jpeg-50-grey.dcm', explicitLittle, 1],
    ['implicit-i16.dcm', explicitLittle, 1],
  ])('gives %s in %s where that is named', async (name, transferSyntax, frame) => {
    const one = { accept: `application/dicom; transfer-syntax=${transferSyntax}` }
    const answer = await kit.ask(of(name).path, { headers: one })
    expect(answer.headers.get('content-type')).toBe(`application/dicom; transfer-syntax=${transferSyntax}`)
    const file = Buffer.from(await answer.arrayBuffer())
    const { samples } = await shown(bytesOf(name), frame)
    expect(await shown(file, frame)).toEqual({ transferSyntax, samples })
    const accept = `multipart/related; type="application/dicom"; transfer-syntax=${transferSyntax}`
    const parts = await partsOf(await kit.ask(`/studies/${of(name).study}`, { headers: { accept } }))
    expect(parts.every(({ headers }) => headers['content-type']?.endsWith(`=${transferSyntax}`))).toBe(true)
    expect(parts.some(({ body }) => body.equals(file))).toBe(true)
  })

  it('gives Explicit VR Little Endian where none is named, but what is lossy as it is', async () => {
    const headers = { accept: 'application/dicom' }
    const said = await Promise.all(
      ['rle-frames.dcm', 'implicit-i16.dcm', 'jpeg-50-grey.dcm'].map(async name => {
        const answer = await kit.ask(of(name).path, { headers })
        return readFileMeta(Buffer.from(await answer.arrayBuffer()))?.transferSyntax
      }),
    )
    expect(said).toEqual([explicitLittle, explicitLittle, '1.2.840.10008.1.2.4.50'])
    const any = await kit.ask(of('rle-frames.dcm').path)
    expect((await partsOf(any))[0]?.headers['content-type']).toBe(`application/dicom; transfer-syntax=${rle}`)
  })

  it('gives one instance alone where that is asked for', async () => {
    const answer = await kit.ask(of('rgb.dcm').path, { headers: { accept: 'application/dicom; transfer-syntax=*' } })
    expect(answer.headers.get('content-type')).toMatch(/^application\/dicom; transfer-syntax=/)
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytesOf('rgb.dcm'))).toBe(true)
  })

  it.each([
    'text/html',
    'multipart/related; type="application/dicom+xml"',
    'application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90',
    'multipart/related; type="application/dicom"; transfer-syntax=1.2.3',
    ';;;,"',
  ])('answers 406 to %s', async accept => {
    const answer = await kit.ask(of('rle-frames.dcm').path, { headers: { accept } })
    expect([answer.status, (await problem(answer)).code]).toEqual([406, 'not-acceptable'])
  })

  it.each(['/studies/1.2.3', '/studies/1.2.3/metadata', '/studies/1.2/series/1.3/instances/1.4/frames/1'])(
    'answers 404 to %s',
    async path => {
      const answer = await kit.ask(path)
      expect([answer.status, (await problem(answer)).code]).toEqual([404, 'not-found'])
    },
  )

  it('gives metadata whose references lead to the pixels', async () => {
    const { path } = of('implicit-i16.dcm')
    const [found] = await kit.json(`${path}/metadata`)
    expect(found).toMatchObject({ '00080018': { vr: 'UI', Value: [of('implicit-i16.dcm').instance] } })
    const uri = found?.['7FE00010']?.BulkDataURI ?? ''
    expect(uri).toBe(`${kit.base}${path}/bulkdata/7FE00010`)
    const [part] = await partsOf(await kit.ask(uri.slice(kit.base.length)))
    const pixels = part?.body ?? Buffer.alloc(0)
    expect(bytesOf('implicit-i16.dcm').includes(pixels)).toBe(true)
    const headers = { accept: 'application/octet-stream', range: 'bytes=10-19' }
    const range = await kit.ask(`${path}/bulkdata/7FE00010`, { headers })
    expect([range.status, range.headers.get('content-range')]).toEqual([206, `bytes 10-19/${pixels.length}`])
    expect(Buffer.from(await range.arrayBuffer())).toEqual(pixels.subarray(10, 20))
    const beyond = await kit.ask(`${path}/bulkdata/7FE00010`, { headers: { range: 'bytes=99999999-' } })
    expect([beyond.status, (await problem(beyond)).code]).toEqual([416, 'bad-request'])
    expect((await kit.ask(`${path}/bulkdata/00420011`)).status).toBe(404)
  })

  it('gives frames as they are stored, as a viewer asks for them', async () => {
    const { path } = of('rle-frames.dcm')
    const accept = 'multipart/related; type=application/octet-stream; transfer-syntax=*'
    const answer = await kit.ask(`${path}/frames/2,1`, { headers: { accept } })
    const parts = await partsOf(answer)
    expect(parts.map(({ headers }) => headers['content-type'])).toEqual(
      Array(2).fill('application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5'),
    )
    for (const { body } of parts) expect(bytesOf('rle-frames.dcm').includes(body)).toBe(true)
    expect(parts[0]?.headers['content-location']).toBe(`${kit.base}${path}/frames/2`)
    expect((await kit.ask(`${path}/frames/99`, { headers: { accept } })).status).toBe(404)
    expect((await kit.ask(`${path}/frames/0`)).status).toBe(400)
  })

  it('gives frames uncompressed where octets of no stated syntax are asked for', async () => {
    const { path } = of('rle-frames.dcm')
    const accept = 'multipart/related; type="application/octet-stream"'
    const [part] = await partsOf(await kit.ask(`${path}/frames/1`, { headers: { accept } }))
    const [meta] = await kit.json(`${path}/metadata`)
    const number = (tag: string) => Number(meta?.[tag]?.Value?.[0])
    const size = number('00280010') * number('00280011') * number('00280002') * (number('00280100') / 8)
    expect(part?.headers['content-type']).toBe('application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1')
    expect(part?.body.length).toBe(size)
  })

  it('gives compressed frames under their own media type', async () => {
    const { path } = of('jpeg-50-grey.dcm')
    const answer = await kit.ask(`${path}/frames/1`, { headers: { accept: 'image/jpeg' } })
    expect(answer.headers.get('content-type')).toContain('image/jpeg')
    expect(Buffer.from(await answer.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.of(0xff, 0xd8))
    const refused = await kit.ask(`${path}/frames/1`, { headers: { accept: 'image/jp2' } })
    expect(refused.status).toBe(406)
  })

  it('renders a picture through the window asked for, within the viewport', async () => {
    const { path } = of('implicit-i16.dcm')
    const png = await kit.ask(`${path}/rendered?window=40,400,linear&viewport=16,8`, {
      headers: { accept: 'image/png' },
    })
    expect([png.status, png.headers.get('content-type')]).toEqual([200, 'image/png'])
    const bytes = Buffer.from(await png.arrayBuffer())
    expect(bytes.readUInt32BE(20)).toBeLessThanOrEqual(8)
    const jpeg = await kit.ask(`${path}/frames/1/rendered?quality=50`)
    expect(jpeg.headers.get('content-type')).toBe('image/jpeg')
    for (const query of ['viewport=0,0', 'viewport=1', 'window=1', 'quality=0'])
      expect((await kit.ask(`${path}/rendered?${query}`)).status).toBe(400)
    expect((await kit.ask(`${path}/rendered`, { headers: { accept: 'image/gif' } })).status).toBe(406)
  })
})

describe('a thumbnail', () => {
  it('stands for study, series and instance, small unless a viewport says otherwise', async () => {
    const { study, series, path } = of('rgb.dcm')
    const accept = { headers: { accept: 'image/png' } }
    for (const at of [`/studies/${study}`, `/studies/${study}/series/${series}`, path]) {
      const answer = await kit.ask(`${at}/thumbnail?viewport=10,10`, accept)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png'])
      expect(Buffer.from(await answer.arrayBuffer()).readUInt32BE(16)).toBeLessThanOrEqual(10)
    }
    expect((await kit.ask('/studies/1.2.3/thumbnail', accept)).status).toBe(404)
  })
})

describe('a viewer', () => {
  it('finds its list of studies, the series of one, their metadata and frames by the very requests that OHIF sends', async () => {
    const { study, series, path } = of('rle-frames.dcm')
    const accept = { headers: { accept: 'application/dicom+json' } }
    const list = await kit.ask(
      '/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090&StudyDate=19000101-20991231',
      accept,
    )
    expect([list.status, JSON.parse(await list.text()).length]).toEqual([200, 1])
    const all = await kit.ask('/studies?limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060', accept)
    const [found] = JSON.parse(await all.text())
    for (const tag of ['0020000D', '00080020', '00080030', '00080050', '00080061', '00100010', '00100020', '00201208'])
      expect(Object.keys(found), tag).toContain(tag)
    const fields = '0008103E,00080021,00080031,0008103E,00080060,0020000E'
    const listed = await kit.ask(`/studies/${study}/series?includefield=${fields}`, accept)
    expect(JSON.parse(await listed.text())).toMatchObject([
      { '0020000E': { Value: [series] }, '00201209': { Value: [stored.size] } },
    ])
    const metadata = await kit.json(`/studies/${study}/series/${series}/metadata`)
    expect(metadata).toHaveLength(stored.size)
    for (const one of metadata)
      for (const tag of [
        '00080016',
        '00080018',
        '0020000D',
        '0020000E',
        '00280010',
        '00280011',
        '00280100',
        '7FE00010',
      ])
        expect(Object.keys(one), tag).toContain(tag)
    const frame = await kit.ask(`${path}/frames/1`, {
      headers: { accept: 'multipart/related; type=application/octet-stream; transfer-syntax=*' },
    })
    const [part] = await partsOf(frame)
    expect(part?.headers['content-type']).toContain('transfer-syntax=1.2.840.10008.1.2.5')
  })
})

describe('the audit', () => {
  const told = async (path: string, accept: string) => {
    kit.audited.length = 0
    const answer = await kit.ask(path, { headers: { accept } })
    await answer.arrayBuffer()
    await until('it is told', () => kit.audited.length > 0)
    return kit.audited.map(({ action, actor, object, outcome, address, detail }) => ({
      ...{ action, actor, object, outcome, address },
      ...detail,
    }))
  }
  const who = { actor: 'token', address: '127.0.0.1', outcome: 'success' }

  it('says what a request stored that broke off afterwards', async () => {
    const { length } = kit.producer.audited
    const whole = related([await fixture('rgb.dcm')])
    const dicomType = `multipart/related; type="application/dicom"; boundary=${boundary}`
    const end = `--${boundary}--\r\n`
    const body = Buffer.concat([whole.subarray(0, -end.length), Buffer.from(`--${boundary}\r\n\r\nDICM`)])
    const answer = await kit.ask('/studies', { method: 'POST', headers: { 'content-type': dicomType }, body })
    expect(answer.status).toBe(422)
    await until('it is told', () => kit.producer.audited.length > length)
    expect(kit.producer.audited.slice(length)).toMatchObject([
      { action: 'instances-received', outcome: 'success', detail: { study: of('rgb.dcm').study } },
    ])
  })

  it('says who searched, by the names of the keys and never by what was searched for', async () => {
    const entries = await told('/studies?PatientName=Secret*&00100020=4711&limit=1', 'application/dicom+json')
    expect(entries).toEqual([{ ...who, action: 'query', object: 'STUDY', query: 'STUDY PatientName PatientID' }])
    expect(JSON.stringify(entries)).not.toMatch(/Secret|4711/)
  })

  it("says whose images were looked at, by the patient's pseudonym", async () => {
    const { study, path } = of('rgb.dcm')
    const patient = expect.stringMatching(/^pt_/)
    const image = { ...who, object: study, study, patient }
    const frames = 'multipart/related; type="application/octet-stream"'
    for (const [at, accept] of [
      [`${path}/metadata`, 'application/dicom+json'],
      [`${path}/frames/1`, frames],
      [`${path}/rendered`, 'image/png'],
      [`${path}/bulkdata/7FE00010`, frames],
    ] as const)
      expect(await told(at, accept)).toEqual([{ ...image, action: 'instances-accessed' }])
  })

  it('says what went out, and that it began to', async () => {
    const { study, path } = of('rgb.dcm')
    await told(path, 'application/dicom')
    await until('it is over', () => kit.audited.length === 2)
    expect(kit.audited).toMatchObject([
      { action: 'instances-sending', object: study, detail: { study } },
      { action: 'instances-sent', outcome: 'success', detail: { sopClasses: expect.stringMatching(/^[0-9.]+=1$/) } },
    ])
  })

  it('says what came by STOW-RS', async () => {
    const { length } = kit.producer.audited
    await kit.store([bytesOf('rgb.dcm')])
    await kit.producer.drain()
    expect(kit.producer.audited.slice(length)).toMatchObject([
      {
        ...who,
        action: 'instances-received',
        detail: { study: of('rgb.dcm').study, patient: expect.stringMatching(/^pt_/) },
      },
    ])
  })
})

describe('a video', () => {
  it('is one stream, by frame and as bulk data, whatever number of frames it says', async () => {
    const still = await fixture('j2k-90-frames.dcm')
    const uid = readFileMeta(still)?.sopInstance ?? ''
    const at = still.indexOf('1.2.840.10008.1.2.4.90')
    const file = Buffer.concat([
      still.subarray(0, at),
      Buffer.from('1.2.840.10008.1.2.4.107\0'),
      still.subarray(at + 22),
    ])
    file.writeUInt16LE(24, at - 2)
    file.writeUInt32LE(still.readUInt32LE(140) + 2, 140)
    const own = uid.replace('.3.', '.4.')
    for (let from = file.indexOf(uid); from >= 0; from = file.indexOf(uid)) file.write(own, from, 'latin1')
    const stored = JSON.parse(await (await kit.store([still, file])).text())['00081199'].Value
    const [stillPath = '', path = ''] = stored.map((item: { '00081190': { Value: string[] } }) =>
      item['00081190'].Value[0]?.slice(kit.base.length),
    )
    const accept = (type: string) => ({ headers: { accept: `multipart/related; type="${type}"` } })
    const frames = await partsOf(await kit.ask(`${stillPath}/frames/1,2`, accept('image/jp2')))
    const stream = Buffer.concat(frames.map(({ body }) => body))
    expect(frames).toHaveLength(2)
    for (const where of ['frames/1', 'bulkdata/7FE00010']) {
      const [video, ...more] = await partsOf(await kit.ask(`${path}/${where}`, accept('video/H265')))
      expect(more).toEqual([])
      expect(video?.headers['content-type']).toBe('video/H265; transfer-syntax=1.2.840.10008.1.2.4.107')
      expect(video?.body.equals(stream)).toBe(true)
    }
    expect((await kit.ask(`${path}/frames/2`, accept('video/*'))).status).toBe(404)
    expect((await kit.ask(`${path}/bulkdata/7FE00010`, accept('image/jp2'))).status).toBe(406)
  })
})
