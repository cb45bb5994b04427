/** WADO-RS over HTTP: objects, metadata, bulk data, frames, and what is refused. */
import { describe, expect, it } from 'vitest'
import { readFileMeta } from '../../dicom/part10.ts'
import { decodeFrame } from '../../models/imaging/decode.ts'
import { filledNames, filledPerFile, fixture, partsOf, problemOf } from './kit.ts'

const filled = filledPerFile()
const { of, bytesOf } = filled

describe('WADO-RS', () => {
  const asStored = 'multipart/related; type="application/dicom"; transfer-syntax=*'
  const [implicitLittle, explicitLittle, deflated, rle] = ['', '.1', '.1.99', '.5'].map(
    end => `1.2.840.10008.1.2${end}`,
  )

  it('gives objects as they were stored: study, series, instance', async () => {
    for (const name of filledNames) {
      const { study, series, path } = of(name)
      for (const address of [`/studies/${study}/series/${series}`, path]) {
        const answer = await filled.kit.ask(address, { headers: { accept: asStored } })
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
    const answer = await filled.kit.ask(of(name).path, { headers: one })
    expect(answer.headers.get('content-type')).toBe(`application/dicom; transfer-syntax=${transferSyntax}`)
    const file = Buffer.from(await answer.arrayBuffer())
    const { samples } = await shown(bytesOf(name), frame)
    expect(await shown(file, frame)).toEqual({ transferSyntax, samples })
    const accept = `multipart/related; type="application/dicom"; transfer-syntax=${transferSyntax}`
    const parts = await partsOf(await filled.kit.ask(`/studies/${of(name).study}`, { headers: { accept } }))
    expect(parts.every(({ headers }) => headers['content-type']?.endsWith(`=${transferSyntax}`))).toBe(true)
    expect(parts.some(({ body }) => body.equals(file))).toBe(true)
  })

  it('gives Explicit VR Little Endian where none is named, but what is lossy as it is', async () => {
    const headers = { accept: 'application/dicom' }
    const said = await Promise.all(
      ['rle-frames.dcm', 'implicit-i16.dcm', 'jpeg-50-grey.dcm'].map(async name => {
        const answer = await filled.kit.ask(of(name).path, { headers })
        return readFileMeta(Buffer.from(await answer.arrayBuffer()))?.transferSyntax
      }),
    )
    expect(said).toEqual([explicitLittle, explicitLittle, '1.2.840.10008.1.2.4.50'])
    const any = await filled.kit.ask(of('rle-frames.dcm').path)
    expect((await partsOf(any))[0]?.headers['content-type']).toBe(`application/dicom; transfer-syntax=${rle}`)
  })

  it('gives one instance alone where that is asked for', async () => {
    const answer = await filled.kit.ask(of('rgb.dcm').path, {
      headers: { accept: 'application/dicom; transfer-syntax=*' },
    })
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
    const answer = await filled.kit.ask(of('rle-frames.dcm').path, { headers: { accept } })
    expect([answer.status, (await problemOf(answer)).code]).toEqual([406, 'not-acceptable'])
  })

  it.each(['/studies/1.2.3', '/studies/1.2.3/metadata', '/studies/1.2/series/1.3/instances/1.4/frames/1'])(
    'answers 404 to %s',
    async path => {
      const answer = await filled.kit.ask(path)
      expect([answer.status, (await problemOf(answer)).code]).toEqual([404, 'not-found'])
    },
  )

  it('gives metadata whose references lead to the pixels', async () => {
    const { path } = of('implicit-i16.dcm')
    const [found] = await filled.kit.json(`${path}/metadata`)
    expect(found).toMatchObject({ '00080018': { vr: 'UI', Value: [of('implicit-i16.dcm').instance] } })
    const uri = found?.['7FE00010']?.BulkDataURI ?? ''
    expect(uri).toBe(`${filled.kit.base}${path}/bulkdata/7FE00010`)
    const [part] = await partsOf(await filled.kit.ask(uri.slice(filled.kit.base.length)))
    const pixels = part?.body ?? Buffer.alloc(0)
    expect(bytesOf('implicit-i16.dcm').includes(pixels)).toBe(true)
    const headers = { accept: 'application/octet-stream', range: 'bytes=10-19' }
    const range = await filled.kit.ask(`${path}/bulkdata/7FE00010`, { headers })
    expect([range.status, range.headers.get('content-range')]).toEqual([206, `bytes 10-19/${pixels.length}`])
    expect(Buffer.from(await range.arrayBuffer())).toEqual(pixels.subarray(10, 20))
    const beyond = await filled.kit.ask(`${path}/bulkdata/7FE00010`, { headers: { range: 'bytes=99999999-' } })
    expect([beyond.status, (await problemOf(beyond)).code]).toEqual([416, 'bad-request'])
    expect((await filled.kit.ask(`${path}/bulkdata/00420011`)).status).toBe(404)
  })

  it('gives frames as they are stored, as a viewer asks for them', async () => {
    const { path } = of('rle-frames.dcm')
    const accept = 'multipart/related; type=application/octet-stream; transfer-syntax=*'
    const answer = await filled.kit.ask(`${path}/frames/2,1`, { headers: { accept } })
    const parts = await partsOf(answer)
    expect(parts.map(({ headers }) => headers['content-type'])).toEqual(
      Array(2).fill('application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5'),
    )
    for (const { body } of parts) expect(bytesOf('rle-frames.dcm').includes(body)).toBe(true)
    expect(parts[0]?.headers['content-location']).toBe(`${filled.kit.base}${path}/frames/2`)
    expect((await filled.kit.ask(`${path}/frames/99`, { headers: { accept } })).status).toBe(404)
    expect((await filled.kit.ask(`${path}/frames/0`)).status).toBe(400)
  })

  it('gives frames uncompressed where octets of no stated syntax are asked for', async () => {
    const { path } = of('rle-frames.dcm')
    const accept = 'multipart/related; type="application/octet-stream"'
    const [part] = await partsOf(await filled.kit.ask(`${path}/frames/1`, { headers: { accept } }))
    const [meta] = await filled.kit.json(`${path}/metadata`)
    const number = (tag: string) => Number(meta?.[tag]?.Value?.[0])
    const size = number('00280010') * number('00280011') * number('00280002') * (number('00280100') / 8)
    expect(part?.headers['content-type']).toBe('application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1')
    expect(part?.body.length).toBe(size)
  })

  it('gives compressed frames under their own media type', async () => {
    const { path } = of('jpeg-50-grey.dcm')
    const answer = await filled.kit.ask(`${path}/frames/1`, { headers: { accept: 'image/jpeg' } })
    expect(answer.headers.get('content-type')).toContain('image/jpeg')
    expect(Buffer.from(await answer.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.of(0xff, 0xd8))
    const refused = await filled.kit.ask(`${path}/frames/1`, { headers: { accept: 'image/jp2' } })
    expect(refused.status).toBe(406)
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
    const stored = JSON.parse(await (await filled.kit.store([still, file])).text())['00081199'].Value
    const [stillPath = '', path = ''] = stored.map((item: { '00081190': { Value: string[] } }) =>
      item['00081190'].Value[0]?.slice(filled.kit.base.length),
    )
    const accept = (type: string) => ({ headers: { accept: `multipart/related; type="${type}"` } })
    const frames = await partsOf(await filled.kit.ask(`${stillPath}/frames/1,2`, accept('image/jp2')))
    const stream = Buffer.concat(frames.map(({ body }) => body))
    expect(frames).toHaveLength(2)
    for (const where of ['frames/1', 'bulkdata/7FE00010']) {
      const [video, ...more] = await partsOf(await filled.kit.ask(`${path}/${where}`, accept('video/H265')))
      expect(more).toEqual([])
      expect(video?.headers['content-type']).toBe('video/H265; transfer-syntax=1.2.840.10008.1.2.4.107')
      expect(video?.body.equals(stream)).toBe(true)
    }
    expect((await filled.kit.ask(`${path}/frames/2`, accept('video/*'))).status).toBe(404)
    expect((await filled.kit.ask(`${path}/bulkdata/7FE00010`, accept('image/jp2'))).status).toBe(406)
  })
})
