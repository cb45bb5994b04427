/** Text within compressed frames is gone, and no pixel with it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { deidentifyRules } from '../../../schemas/deidentify.ts'
import { decodeFrame } from '../decode.ts'
import { parseDataSet } from '../dicom/dataset.ts'
import { type Encoding, headOf, itemTag } from '../dicom/elements.ts'
import { framesOf } from '../dicom/pixels.ts'
import { deidentify } from './deidentify.ts'
import { fileMeta } from './file-meta.ts'
import { textBytes } from './values.ts'

const explicit: Encoding = { explicit: true, big: false }
const secret = 'CANARY^SMITH'
const fixture = (name: string) =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/imaging', `${name}.dcm`)))
const clean = (bytes: Uint8Array) =>
  deidentify(bytes, { rules: deidentifyRules.parse({ options: [] }), key: Buffer.alloc(32, 7), site: 'main' })

/** A box of a JP2 file or a JPEG XL container: its length in 32 bits, in 64, or to the end. */
function box(kind: string, content: string | Buffer, form: 'short' | 'long' | 'last' = 'short'): Buffer {
  const value = Buffer.from(content)
  const head = Buffer.alloc(form === 'long' ? 16 : 8)
  head.write(kind, 4, 'latin1')
  if (form === 'short') head.writeUInt32BE(8 + value.length)
  if (form === 'long') {
    head.writeUInt32BE(1)
    head.writeBigUInt64BE(BigInt(16 + value.length), 8)
  }
  return Buffer.concat([head, value])
}

/** A small object of whatever fragments; nothing but their syntax says what they are. */
function object(transferSyntax: string, fragments: readonly Buffer[]): Uint8Array {
  const sopClass = '1.2.840.10008.5.1.4.1.1.7'
  const element = (tag: number, vr: string, value: Uint8Array) => [headOf(tag, vr, value.length, explicit), value]
  const items = [Buffer.alloc(0), ...fragments].flatMap(bytes => [headOf(itemTag, 'UN', bytes.length, explicit), bytes])
  return Buffer.concat([
    fileMeta({ sopClass, sopInstance: '1.2.3.4', transferSyntax }),
    ...element(0x00080016, 'UI', textBytes(sopClass, 'UI')),
    ...element(0x00080018, 'UI', textBytes('1.2.3.4', 'UI')),
    ...element(0x00280008, 'IS', textBytes(String(fragments.length), 'IS')),
    ...[headOf(0x7fe00010, 'OB', 0xffffffff, explicit), ...items, headOf(0xfffee0dd, 'UN', 0, explicit)],
  ])
}
const afterPixels = (bytes: Uint8Array) =>
  Buffer.from(bytes).subarray(Buffer.from(bytes).lastIndexOf('\xe0\x7f\x10\0OB', undefined, 'latin1'))

describe('text in compressed frames', () => {
  const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, 2 + secret.length]), Buffer.from(secret)])
  const exif = Buffer.concat([Buffer.from([0xff, 0xe1, 0, 2 + secret.length]), Buffer.from(secret)])
  const com = Buffer.concat([Buffer.from([0xff, 0x64, 0, 4 + secret.length, 0, 1]), Buffer.from(secret)])

  const end = Number.POSITIVE_INFINITY
  const marks = [Buffer.from([0xff, 0xd8, 0xff]), Buffer.from([0xff, 0x4f, 0xff])]

  /** Put in so far after the first bytes of the image, or at its end; the fragment's length is set right. */
  function planted(name: string, after: number, what: Buffer, cut?: number): Uint8Array {
    const bytes = Buffer.from(fixture(name))
    const start = Math.max(...marks.map(mark => bytes.indexOf(mark)))
    const item = name.includes('boxed') ? bytes.lastIndexOf(Buffer.from('jP  '), start) - 4 : start
    const length = bytes.readUInt32LE(item - 4)
    const at = Math.min(start + after, item + length)
    const head = Buffer.concat([bytes.subarray(item, at), what])
    const frame = Buffer.concat([head, bytes.subarray(at, item + length)])
    const parts = cut === undefined ? [frame] : [frame.subarray(0, cut), frame.subarray(cut)]
    const fragments = parts.flatMap(part => [headOf(itemTag, 'UN', part.length, explicit), part])
    return new Uint8Array(Buffer.concat([bytes.subarray(0, item - 8), ...fragments, bytes.subarray(item + length)]))
  }

  const jfxx = Buffer.concat([Buffer.from([0xff, 0xe0, 0, 7 + secret.length]), Buffer.from(`JFXX\0${secret}`)])
  const adobe = Buffer.concat([Buffer.from([0xff, 0xee, 0, 2 + secret.length]), Buffer.from(secret)])
  const long = Buffer.concat([
    Buffer.from([0xff, 0xe0, 0, 16 + secret.length]),
    Buffer.from('JFIF\0\x01\x01\0\0\x01\0\x01\0\0', 'latin1'),
    Buffer.from(secret),
  ])

  it.each([
    ['jpeg-50-grey', 2, Buffer.concat([comment, exif])],
    ['jpeg-50-grey', 2, jfxx],
    ['jpeg-50-grey', 2, long],
    ['jpeg-50-rgb-adobe', 2, adobe],
    ['jpeg-ls-80-uint8', 2, comment],
    ['jpeg-ls-80-uint8', 2, Buffer.concat([Buffer.from([0xff, 0xe8, 0, 2 + secret.length]), Buffer.from(secret)])],
    ['j2k-90-uint8', 45, com],
    ['j2k-90-jp2-boxed', 45, com],
    ['j2k-90-jp2-boxed', -8, box('xml ', secret)],
    ['j2k-90-jp2-boxed', -8, box('xml ', secret, 'long')],
    ['j2k-90-jp2-boxed', end, box('xml ', secret, 'last')],
    ['jpeg-50-grey', end, Buffer.from(secret)],
    ['jpeg-ls-80-uint8', end, Buffer.from(secret)],
    ['j2k-90-uint8', end, Buffer.from(secret)],
    ['htj2k-201-uint8', end, Buffer.from(secret)],
  ])('is written over, and no pixel changes: %s, at %s', async (name, after, what) => {
    const bytes = planted(name, after, what)
    const { bytes: out, report } = await clean(bytes)
    expect(Buffer.from(out).toString('latin1')).not.toContain('SMITH')
    expect(report.changes).toContainEqual(expect.objectContaining({ tag: '7fe00010', name: 'Comments in Pixel Data' }))
    expect((await decodeFrame(out)).samples).toEqual((await decodeFrame(fixture(name))).samples)
  })

  it.each([
    ['jpeg-50-grey', 2, comment],
    ['j2k-90-uint8', 45, com],
    ['jpeg-50-grey', end, Buffer.from(secret)],
  ])('is found where two fragments share it: %s, at %s', async (name, after, what) => {
    const whole = Buffer.from(planted(name, after, what))
    const frame = whole.indexOf(what) - Math.max(...marks.map(mark => whole.indexOf(mark)))
    for (const cut of [frame + 2, frame + 6, frame + what.length - 4]) {
      const bytes = planted(name, after, what, cut + (cut % 2))
      const { bytes: out } = await clean(bytes)
      for (const half of [secret.slice(0, 4), 'SMITH'.slice(1), 'ANARY'])
        expect(Buffer.from(out).toString('latin1')).not.toContain(half)
      expect((await decodeFrame(out)).samples).toEqual((await decodeFrame(fixture(name))).samples)
    }
  })

  it.each([
    'jpeg-50-rgb-adobe',
    'frames-two-fragments',
    'frames-two-fragments-no-table',
    'frames-ragged-no-table',
    'j2k-90-frames',
    'j2k-90-tiled',
    'htj2k-201-frames',
    'rle-uint16',
  ])('where there is none, every frame stays as it was: %s', async name => {
    const before = fixture(name)
    const { bytes: out } = await clean(before)
    const { data } = await parseDataSet(before, { lastGroup: 0x7fe0, complete: true, maxInflated: 1e6 })
    for (let frame = 1; frame <= framesOf(data); frame++)
      expect((await decodeFrame(out, frame)).samples).toEqual((await decodeFrame(before, frame)).samples)
  })
})

describe('a JPEG XL container', () => {
  const signature = box('JXL ', Buffer.from([0x0d, 0x0a, 0x87, 0x0a]))
  const begin = Buffer.concat([signature, box('ftyp', 'jxl \0\0\0\0jxl '), box('jxll', '\x0a')])
  const codestream = Buffer.from([0xff, 0x0a, 0xff, 0xd8, 0xff, 0xfe, 0, 6, 1, 2, 3, 4])
  const texts = [
    box('xml ', secret),
    box('Exif', secret, 'long'),
    box('jbrd', secret),
    box('brob', `Exif${secret}`),
    box('uuid', secret, 'last'),
  ]
  const even = (...boxes: Buffer[]) => {
    const all = Buffer.concat(boxes)
    return Buffer.concat([all, Buffer.alloc(all.length % 2)])
  }
  const [recompressed, plain] = ['1.2.840.10008.1.2.4.111', '1.2.840.10008.1.2.4.112']

  it('keeps the image, whole or in parts, and its other boxes become free space', async () => {
    const [one, two] = [codestream.subarray(0, 5), codestream.subarray(5)]
    const frames = [
      even(begin, ...texts.slice(0, 4), box('jxlc', codestream, 'long'), texts[4] ?? signature),
      even(begin, box('jxlp', one), texts[2] ?? signature, box('jxlp', two, 'last')),
      even(begin, box('jxlc', codestream), Buffer.from(secret)),
      codestream,
    ]
    const free = (length: number, form?: 'long' | 'last') => box('free', Buffer.alloc(length), form)
    const { length } = secret
    const cleaned = [
      even(
        begin,
        free(length),
        free(length, 'long'),
        free(length),
        free(length + 4),
        box('jxlc', codestream, 'long'),
        free(length, 'last'),
      ),
      even(begin, box('jxlp', one), free(length), box('jxlp', two, 'last')),
      even(begin, box('jxlc', codestream), Buffer.alloc(length)),
      codestream,
    ]
    const { bytes: out, report } = await clean(object(recompressed, frames))
    expect(afterPixels(out)).toEqual(afterPixels(object(recompressed, cleaned)))
    expect(report.changes).toContainEqual(
      expect.objectContaining({ name: 'Comments in Pixel Data', action: 'empty', count: 7 }),
    )
    expect(afterPixels((await clean(out)).bytes)).toEqual(afterPixels(out))
  })

  it('is refused where its boxes cannot be told apart', async () => {
    for (const wrong of [
      box('xml ', secret).fill(0xff, 0, 4),
      Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from(secret)]),
    ])
      await expect(clean(object(plain, [even(begin, wrong)]))).rejects.toMatchObject({ code: 'not-deidentified' })
  })
})

it('a video stays as it is, whatever its fragments begin with', async () => {
  const like = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xfe, 0, 6, 1, 2, 3, 4]), Buffer.from([0xff, 0xd9, 5, 6])])
  for (const syntax of ['1.2.840.10008.1.2.4.102', '1.2.840.10008.1.2.4.100.1', '1.2.840.10008.1.2.4.108']) {
    const video = object(syntax, [Buffer.from([0, 0, 1, 0xb3]), like])
    const { bytes: out, report } = await clean(video)
    expect(afterPixels(out)).toEqual(afterPixels(video))
    expect(report.changes.filter(({ tag }) => tag === '7fe00010')).toEqual([])
  }
})
