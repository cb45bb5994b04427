/** STOW-RS of metadata and bulk data: what WADO-RS gave, sent back under other UIDs, is the same image. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readFileMeta } from '../../dicom/part10.ts'
import { decodeFrame } from '../../models/imaging/decode.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { boundary, fixture, type Kit, openDicomweb, partsOf } from './kit.ts'

let kit: Kit
beforeAll(async () => {
  kit = await openDicomweb({ settings: { maxJsonBytes: 5_000_000 } })
})
afterAll(() => kit.close())

interface Part {
  type: string
  location?: string
  body: Buffer
}

const multipart = (...parts: Part[]) =>
  Buffer.concat([
    ...parts.flatMap(({ type, location, body }) => [
      Buffer.from(`--${boundary}\r\nContent-Type: ${type}\r\n`),
      Buffer.from(location === undefined ? '\r\n' : `Content-Location: ${location}\r\n\r\n`),
      body,
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${boundary}--\r\n`),
  ])

const send = (...parts: Part[]) =>
  kit.ask('/studies', {
    method: 'POST',
    headers: { 'content-type': `multipart/related; type="application/dicom+json"; boundary=${boundary}` },
    body: Uint8Array.from(multipart(...parts)),
  })
const json = (...instances: DicomAttributes[]): Part => ({
  type: 'application/dicom+json',
  body: Buffer.from(JSON.stringify(instances)),
})

/** A stored file's path, its metadata under another SOP Instance UID, and the address of its pixels. */
async function known(name: string, uid: string) {
  const answer = JSON.parse(await (await kit.store([await fixture(name)])).text())
  const path = String(answer['00081199'].Value[0]['00081190'].Value[0]).slice(kit.base.length)
  const [metadata] = await kit.json(`${path}/metadata`)
  if (!metadata) throw new Error('no metadata')
  const attributes: DicomAttributes = { ...metadata, '00080018': { vr: 'UI', Value: [uid] } }
  return { path, attributes, location: metadata['7FE00010']?.BulkDataURI ?? '' }
}

async function storedFile(path: string, uid: string): Promise<Buffer> {
  const address = path.replace(/instances\/.*/, `instances/${uid}`)
  const answer = await kit.ask(address, { headers: { accept: 'application/dicom; transfer-syntax=*' } })
  return Buffer.from(await answer.arrayBuffer())
}

describe('STOW-RS of application/dicom+json', () => {
  it.each([
    ['rgb.dcm', '2.25.1001'],
    ['implicit-i16.dcm', '2.25.1002'],
    ['big-endian-u16.dcm', '2.25.1003'],
    ['palette-8.dcm', '2.25.1004'],
    ['functional-groups.dcm', '2.25.1005'],
  ])('stores %s again from its metadata and its pixels', async (name, uid) => {
    const { path, attributes, location } = await known(name, uid)
    const bulk = await kit.ask(location.slice(kit.base.length), { headers: { accept: 'application/octet-stream' } })
    const pixels = { type: 'application/octet-stream', location, body: Buffer.from(await bulk.arrayBuffer()) }
    const answer = await send(json(attributes), pixels)
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining(uid)])
    const file = await storedFile(path, uid)
    expect((await decodeFrame(file)).samples).toEqual((await decodeFrame(await fixture(name))).samples)
    const [again] = await kit.json(`${path.replace(/instances\/.*/, `instances/${uid}`)}/metadata`)
    const apart = ({ '7FE00010': _, '00083002': __, '00080018': ___, '00080005': ____, ...rest }: DicomAttributes) =>
      rest
    expect(apart(again ?? {})).toEqual(apart(attributes))
  })

  it('takes compressed frames, each in a part of its own', async () => {
    const uid = '2.25.1010'
    const { path, attributes, location } = await known('j2k-90-frames.dcm', uid)
    const accept = { headers: { accept: 'multipart/related; type="image/jp2"' } }
    const { count } = { count: Number(attributes['00280008']?.Value?.[0]) }
    const list = Array.from({ length: count }, (_, i) => i + 1).join(',')
    const frames = await partsOf(await kit.ask(`${path}/frames/${list}`, accept))
    const answer = await send(
      json(attributes),
      ...frames.map(({ headers, body }) => ({ type: headers['content-type'] ?? '', location, body })),
    )
    expect(answer.status).toBe(200)
    const file = await storedFile(path, uid)
    expect(readFileMeta(file)?.transferSyntax).toBe('1.2.840.10008.1.2.4.90')
    for (let frame = 1; frame <= count; frame++)
      expect((await decodeFrame(file, frame)).samples).toEqual(
        (await decodeFrame(await fixture('j2k-90-frames.dcm'), frame)).samples,
      )
  })

  it('refuses each instance for itself: no bulk data, no UID, one of dots alone, a value that is none', async () => {
    const { attributes, location } = await known('rgb.dcm', '2.25.1020')
    const good = { ...attributes, '00080018': { vr: 'UI', Value: ['2.25.1021'] } }
    const bulk = await kit.ask(location.slice(kit.base.length), { headers: { accept: 'application/octet-stream' } })
    const pixels = { type: 'application/octet-stream', location, body: Buffer.from(await bulk.arrayBuffer()) }
    const elsewhere = { ...attributes, '7FE00010': { vr: 'OW', BulkDataURI: 'http://elsewhere/1' } }
    const { '00080018': _, ...nameless } = attributes
    const dots = { ...attributes, '00080018': { vr: 'UI', Value: ['..'] } }
    const wrong = { ...attributes, '00280010': { vr: 'US', Value: [70_000] } }
    const answer = await send(json(good, elsewhere, nameless, dots, wrong), pixels)
    const body = JSON.parse(await answer.text())
    expect([answer.status, body['00081199'].Value.length, body['00081198'].Value.length]).toEqual([202, 1, 3])
    expect(body['0008119A'].Value).toHaveLength(1)
  })

  it('writes no more than it may hold, however often one part is named', async () => {
    const { attributes, location } = await known('rgb.dcm', '2.25.1030')
    const bulk = await kit.ask(location.slice(kit.base.length), { headers: { accept: 'application/octet-stream' } })
    const pixels = { type: 'application/octet-stream', location, body: Buffer.from(await bulk.arrayBuffer()) }
    const large = { type: 'application/octet-stream', location: 'large', body: Buffer.alloc(600_000) }
    const named = { vr: 'OB', BulkDataURI: 'large' }
    const tenTimes = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`0011100${n}`, named]))
    const nested = { '00111010': { vr: 'SQ', Value: Array.from({ length: 10 }, () => ({ '00111000': named })) } }
    const of = (uid: string, more: DicomAttributes) => ({
      ...attributes,
      ...more,
      '00080018': { vr: 'UI', Value: [uid] },
    })
    const several = Array.from({ length: 10 }, (_, n) => of(`2.25.104${n}`, { '00111000': named }))
    const answer = await send(json(of('2.25.1031', tenTimes), of('2.25.1032', nested), ...several), pixels, large)
    const body = JSON.parse(await answer.text())
    expect(answer.status).toBe(202)
    const uids = (tag: string) =>
      body[tag].Value.map((one: DicomAttributes) => one['00081155']?.Value?.[0]).filter(Boolean)
    // Of those with one each, as many as have room: the first two took none.
    expect(uids('00081199')).toEqual(several.slice(0, 8).map(one => one['00080018']?.Value[0]))
    expect(uids('00081198')).toEqual(['2.25.1031', '2.25.1032', '2.25.1048', '2.25.1049'])
  })

  it.each<[string, Part[], number, string]>([
    ['text that is no JSON', [{ type: 'application/dicom+json', body: Buffer.from('{') }], 400, 'bad-request'],
    ['no instance at all', [json()], 400, 'bad-request'],
    [
      'bulk data without a location',
      [json({}), { type: 'application/octet-stream', body: Buffer.alloc(2) }],
      400,
      'bad-request',
    ],
    [
      'more than it may hold',
      [json({}), { type: 'application/octet-stream', location: 'x', body: Buffer.alloc(6_000_000) }],
      413,
      'too-large',
    ],
  ])('refuses %s as a whole', async (_what, parts, status, code) => {
    const answer = await send(...parts)
    expect([answer.status, JSON.parse(await answer.text()).code]).toEqual([status, code])
  })
})
