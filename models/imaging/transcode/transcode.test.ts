import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openStores, type Stores } from '../../../tests/harness/stores.ts'
import { decodeFrame } from '../decode.ts'
import { fileMeta } from '../deidentify/file-meta.ts'
import { parseDataSet } from '../dicom/dataset.ts'
import { headOf, itemTag } from '../dicom/elements.ts'
import { readPixelModule } from '../dicom/pixels.ts'
import { explicitLittle, implicitLittle, syntaxOf, transcodedTo } from '../dicom/syntaxes.ts'

const folder = join(import.meta.dirname, '../../fixtures/imaging')
const fixtures = readdirSync(folder).filter(name => name.endsWith('.dcm') && !name.startsWith('no-pixels'))
let stores: Stores | undefined
afterAll(() => stores?.close())

async function open(): Promise<Stores> {
  stores ??= await openStores()
  return stores
}

async function transcoded(bytes: Buffer, to: string): Promise<Buffer> {
  const { objects, images } = await open()
  const object = await objects.put(bytes, 'application/dicom')
  const { prefix, dataSet, bytes: said } = await images.dicom.transcode(object, to)
  const chunks: Buffer[] = []
  for await (const chunk of dataSet) chunks.push(chunk)
  const data = Buffer.concat(chunks)
  expect(said ?? data.length).toBe(data.length)
  expect(data.length % 2).toBe(0)
  return Buffer.concat([prefix, data])
}

const parsed = (bytes: Buffer) => parseDataSet(bytes, { lastGroup: 0x7fe0, complete: true, maxInflated: 1 << 28 })

async function framesOf(bytes: Buffer) {
  const { frames } = readPixelModule(await parsed(bytes))
  return Promise.all(Array.from({ length: frames }, (_, i) => decodeFrame(bytes, i + 1)))
}

describe('an object in another transfer syntax', () => {
  for (const [i, name] of fixtures.entries()) {
    it(`shows the same: ${name}`, async () => {
      const original = readFileSync(join(folder, name))
      const from = (await parsed(original)).transferSyntax
      const targets = transcodedTo(from)
      // Compressed ones in one syntax each: decoding is the same for all of them.
      for (const to of syntaxOf(from)?.packing === 'native' ? targets : targets.slice(i % targets.length).slice(0, 1)) {
        const other = await transcoded(original, to)
        const { transferSyntax, pixels, data } = await parsed(other)
        expect({ transferSyntax, encapsulated: pixels?.hadUndefinedLength }).toEqual({
          transferSyntax: to,
          encapsulated: false,
        })
        expect(await framesOf(other)).toEqual(await framesOf(original))
        if (/jpeg-5[01]|jpeg-ls-81|j2k-91/.test(name)) expect(data.string('x00282110')).toBe('01')
      }
    })
  }
})

const explicit = { explicit: true, big: false }
const element = (tag: number, vr: string, value: Buffer) =>
  Buffer.concat([headOf(tag, vr, value.length, explicit), value])

describe('whatever else there is in it', () => {
  const items = (...sets: Buffer[]) =>
    Buffer.concat(sets.flatMap(set => [headOf(itemTag, 'UN', set.length, explicit), set]))
  /** Numbers of every width, in sequences too, a private part, a value of unknown VR, and more text than 16 bits can count. */
  const set = Buffer.concat([
    element(0x00080016, 'UI', Buffer.from('1.2.840.10008.5.1.4.1.1.66.4\0\0'.slice(0, 28))),
    element(0x00080018, 'UI', Buffer.from('1.2.3.4\0')),
    element(0x00091001, 'UN', Buffer.from('unknown!')),
    element(0x00189074, 'DT', Buffer.from('20260101')),
    element(0x00283010, 'SQ', items(element(0x00283002, 'US', Buffer.from([1, 0, 2, 0, 16, 0])))),
    element(
      0x0040a730,
      'SQ',
      items(
        element(0x0040a30a, 'DS', Buffer.from('1.5 ')),
        element(0x0040a730, 'SQ', items(element(0x00189073, 'FD', Buffer.from(new Float64Array([1.25, -3]).buffer)))),
      ),
    ),
    element(0x00720026, 'AT', Buffer.from([0x10, 0, 0x20, 0])),
    element(0x00720078, 'UL', Buffer.from(new Uint32Array([1, 70_000]).buffer)),
  ])

  it('comes back byte for byte by way of every other one', async () => {
    const file = Buffer.concat([
      Buffer.from(
        fileMeta({ sopClass: '1.2.840.10008.5.1.4.1.1.66.4', sopInstance: '1.2.3.4', transferSyntax: explicitLittle }),
      ),
      set,
    ])
    for (const to of transcodedTo(explicitLittle)) {
      const there = await transcoded(file, to)
      const back = await transcoded(there, explicitLittle)
      expect(back.subarray(back.length - set.length).equals(set)).toBe(true)
    }
  })

  it('calls a text that a length of 16 bits cannot say unknown', async () => {
    const { objects, images } = await open()
    const long = Buffer.alloc(70_000, 'x')
    const file = Buffer.concat([
      Buffer.from(fileMeta({ sopClass: '1.2', sopInstance: '1.2.3.4', transferSyntax: implicitLittle })),
      headOf(0x00080018, 'UI', 8, { explicit: false, big: false }),
      Buffer.from('1.2.3.4\0'),
      headOf(0x00204000, 'LT', long.length, { explicit: false, big: false }),
      long,
    ])
    const object = await objects.put(file, 'application/dicom')
    const { dataSet } = await images.dicom.transcode(object, explicitLittle)
    const chunks: Buffer[] = []
    for await (const chunk of dataSet) chunks.push(chunk)
    const data = Buffer.concat(chunks)
    expect(data.subarray(16, 28)).toEqual(Buffer.from(headOf(0x00204000, 'UN', 70_000, explicit)))
  })

  it.each([
    ['video-not-decoded', '1.2.840.10008.1.2.4.102'],
    ['decode-failed', '1.2.840.10008.1.2.4.90'],
  ])('says %s before the first byte', async (code, transferSyntax) => {
    const { objects, images } = await open()
    const jpeg = readFileSync(join(folder, 'jpeg-50-grey.dcm'))
    const { start, bytes } = await parsed(jpeg)
    const meta = fileMeta({ sopClass: '1.2', sopInstance: '1.2.3.4', transferSyntax })
    const object = await objects.put(Buffer.concat([meta, bytes.subarray(start)]), 'application/dicom')
    await expect(images.dicom.transcode(object, explicitLittle)).rejects.toMatchObject({ code })
  })

  it('breaks off where a later frame is damaged', async () => {
    const { objects, images } = await open()
    const frames = Buffer.from(readFileSync(join(folder, 'jpeg-ls-80-frames.dcm')))
    frames.fill(0, frames.length - 60, frames.length - 8)
    const object = await objects.put(frames, 'application/dicom')
    const { dataSet } = await images.dicom.transcode(object, explicitLittle)
    const read = async () => {
      for await (const _chunk of dataSet);
    }
    await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/decode-failed|truncated/) })
  })
})

describe('an object of many frames', () => {
  /** 1,024 x 1,024 grey pixels of one value each, in runs of 128 (PS3.5 G.3). */
  function flatFrame(value: number): Buffer {
    const header = Buffer.alloc(64)
    header.writeUInt32LE(1, 0)
    header.writeUInt32LE(64, 4)
    const runs = Buffer.alloc((1024 * 1024 * 2) / 128)
    for (let at = 0; at < runs.length; at += 2) runs.set([129, value], at)
    return Buffer.concat([header, runs])
  }

  it('is given a frame at a time: 600 MB of pixels never stand in memory', async () => {
    const { objects, images } = await open()
    const frames = 600
    const us = (tag: number, value: number) => element(tag, 'US', Buffer.from(Uint16Array.of(value).buffer))
    const item = (value: Buffer) => Buffer.concat([headOf(itemTag, 'UN', value.length, explicit), value])
    const file = Buffer.concat([
      Buffer.from(fileMeta({ sopClass: '1.2', sopInstance: '1.2.3.4', transferSyntax: '1.2.840.10008.1.2.5' })),
      element(0x00080018, 'UI', Buffer.from('1.2.3.4\0')),
      us(0x00280002, 1),
      element(0x00280004, 'CS', Buffer.from('MONOCHROME2 ')),
      element(0x00280008, 'IS', Buffer.from(String(frames).padEnd(4))),
      us(0x00280010, 1024),
      us(0x00280011, 1024),
      us(0x00280100, 8),
      us(0x00280101, 8),
      us(0x00280102, 7),
      us(0x00280103, 0),
      headOf(0x7fe00010, 'OB', 0xffffffff, explicit),
      item(Buffer.alloc(0)),
      ...Array.from({ length: frames }, (_, i) => item(flatFrame(i % 251))),
      headOf(0xfffee0dd, 'UN', 0, explicit),
    ])
    const object = await objects.put(file, 'application/dicom')
    const { bytes, dataSet } = await images.dicom.transcode(object, implicitLittle)
    let [size, peak, seen] = [0, 0, 0]
    const before = process.memoryUsage().rss
    for await (const chunk of dataSet) {
      size += chunk.length
      if (chunk.length === 1024 * 1024) expect(chunk[1_000_000]).toBe(seen++ % 251)
      peak = Math.max(peak, process.memoryUsage().rss - before)
    }
    expect([size, seen]).toEqual([bytes, frames])
    expect(peak).toBeLessThan(300 * 1024 * 1024)
  })
})
