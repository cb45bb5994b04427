/** Objects in which names hide where a reader that goes by the book does not look. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { deidentifyRules } from '../../../schemas/deidentify.ts'
import { decodeFrame } from '../decode.ts'
import { parseDataSet } from '../dicom/dataset.ts'
import { type Encoding, headOf, itemTag } from '../dicom/elements.ts'
import { framesOf } from '../dicom/pixels.ts'
import { explicitLittle, implicitLittle } from '../dicom/syntaxes.ts'
import { deidentify } from './deidentify.ts'
import { fileMeta } from './file-meta.ts'

const key = Buffer.alloc(32, 7)
const explicit: Encoding = { explicit: true, big: false }
const implicit: Encoding = { explicit: false, big: false }
const secret = 'CANARY^SMITH'
const fixture = (name: string) =>
  new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/imaging', `${name}.dcm`)))

type Part = [tag: number, vr: string, value: string | Buffer]
const even = (value: string | Buffer) => {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value, 'latin1')
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(' ')])
}
function element([tag, vr, value]: Part, encoding = explicit): Buffer {
  const bytes = even(value)
  return Buffer.concat([headOf(tag, vr, bytes.length, encoding), bytes])
}
const items = (encoding: Encoding, ...parts: Part[]) => {
  const body = Buffer.concat(parts.map(part => element(part, encoding)))
  return Buffer.concat([headOf(itemTag, 'UN', body.length, encoding), body])
}
const unending = (tag: number, vr: string, value: Buffer, encoding: Encoding) =>
  Buffer.concat([headOf(tag, vr, 0xffffffff, encoding), value, headOf(0xfffee0dd, 'UN', 0, encoding)])

const ct: Part = [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.2\0']
const identity: Part[] = [
  [0x00080018, 'UI', '1.2.3.4\0'],
  [0x00100020, 'LO', 'P1'],
]
function file(parts: (Part | Buffer)[], encoding = explicit, sopClass = ct): Uint8Array {
  const transferSyntax = encoding.explicit ? explicitLittle : implicitLittle
  const meta = fileMeta({ sopClass: '1.2.840.10008.5.1.4.1.1.2', sopInstance: '1.2.3.4', transferSyntax })
  const all = [sopClass, ...identity, ...parts].map(part => (Buffer.isBuffer(part) ? part : element(part, encoding)))
  const tagOf = (bytes: Buffer) => bytes.readUInt16LE(0) * 65_536 + bytes.readUInt16LE(2)
  return new Uint8Array(Buffer.concat([meta, ...all.toSorted((a, b) => tagOf(a) - tagOf(b))]))
}

const clean = (bytes: Uint8Array, settings: object = {}, site = 'main') =>
  deidentify(bytes, { rules: deidentifyRules.parse({ options: [], ...settings }), key, site })
const text = async (bytes: Uint8Array, settings?: object) =>
  Buffer.from((await clean(bytes, settings)).bytes).toString('latin1')

const inNested = items(explicit, [0x00100010, 'PN', secret])
const hidden: Record<string, (Part | Buffer)[]> = {
  'an even group that the standard does not have': [[0x00101999, 'LO', secret]],
  'a curve past the groups of the standard': [[0x50203000, 'OW', secret]],
  'an overlay past the groups of the standard': [[0x60204000, 'LT', secret]],
  'a retired group of image data': [[0x7f010010, 'OW', secret]],
  'a sequence that is called a number': [[0x00089215, 'DS', inNested]],
  'a sequence that is called bytes': [[0x00089215, 'OB', inNested]],
  'a sequence of the table that is called bytes': [[0x00081140, 'OB', inNested]],
  'a number that is called a sequence': [[0x00181151, 'SQ', inNested]],
  'a number of unknown VR that is a sequence': [
    unending(0x00181151, 'UN', items(implicit, [0x00100010, 'PN', secret]), explicit),
  ],
  'an address': [[0x00081190, 'UR', `http://pacs/wado?patient=${secret}`]],
  'pixels within a sequence': [[0x00089215, 'SQ', items(explicit, [0x7fe00010, 'OW', secret])]],
  'fragments within a sequence': [
    [
      0x00089215,
      'SQ',
      (() => {
        const fragments = unending(
          0x7fe00010,
          'OB',
          Buffer.concat([headOf(itemTag, 'UN', 12, explicit), Buffer.from(secret)]),
          explicit,
        )
        return Buffer.concat([headOf(itemTag, 'UN', fragments.length, explicit), fragments])
      })(),
    ],
  ],
}

describe('a name is gone that stands in', () => {
  for (const [where, parts] of Object.entries(hidden)) {
    it(where, async () => {
      const bytes = file(parts)
      expect(Buffer.from(bytes).toString('latin1')).toContain(secret)
      const out = await text(bytes)
      expect(out).not.toContain(secret)
      const parsed = await parseDataSet(Buffer.from(out, 'latin1'), {
        lastGroup: 0xffff,
        complete: true,
        maxInflated: 1e6,
      })
      expect(parsed.cutAt).toBeUndefined()
    })
  }

  it('a private sequence in implicit VR, though its element is said to be safe', async () => {
    const safePrivate = [{ creator: 'ACME', group: 0x0019, elements: [1, 2] }]
    const bytes = file(
      [
        [0x00190010, 'LO', 'ACME'],
        [0x00191001, 'SQ', items(implicit, [0x00100010, 'PN', secret])],
        unending(0x00191002, 'SQ', items(implicit, [0x00100010, 'PN', secret]), implicit),
      ],
      implicit,
    )
    expect(await text(bytes, { options: ['retain-safe-private'], safePrivate })).not.toContain('SMITH')
  })
})

describe('descriptions are kept', () => {
  const described = async (value: string | Buffer) =>
    text(file([[0x0008103e, 'LO', value]]), { options: ['clean-descriptors'] })

  it('where every word is one of imaging', async () => {
    expect(await described('HEAD CT 5 mm')).toContain('HEAD CT 5 mm')
  })

  it.each([
    ['a date of birth', 'HEAD 12 05 65'],
    ['a date with dots', 'CT 1.2.65'],
    ['kanji, whose bytes read as CT', Buffer.from('HEAD \x1b$BCT\x1b(B', 'latin1')],
    ['a name in GBK, whose bytes read as words', Buffer.from([0x43, 0x54, 0x20, 0x81, 0x43, 0x82, 0x54])],
  ])('but not %s', async (_what, value) => {
    expect(await described(value)).not.toContain(even(value).toString('latin1').trim())
  })
})

describe('text in compressed frames', () => {
  const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, 2 + secret.length]), Buffer.from(secret)])
  const exif = Buffer.concat([Buffer.from([0xff, 0xe1, 0, 2 + secret.length]), Buffer.from(secret)])
  const com = Buffer.concat([Buffer.from([0xff, 0x64, 0, 4 + secret.length, 0, 1]), Buffer.from(secret)])

  const marks = [Buffer.from([0xff, 0xd8, 0xff]), Buffer.from([0xff, 0x4f, 0xff])]

  /** Put in so far after the first bytes of the frame, or at its end; the fragment's length is set right. */
  function planted(name: string, after: number, what: Buffer, cut?: number): Uint8Array {
    const bytes = Buffer.from(fixture(name))
    const start = Math.max(...marks.map(mark => bytes.indexOf(mark)))
    const item = name.includes('boxed') ? bytes.lastIndexOf(Buffer.from('jP  '), start) - 4 : start
    const length = bytes.readUInt32LE(item - 4)
    const at = after < 0 ? item + length : start + after
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
    ['jpeg-50-grey', -1, Buffer.from(secret)],
    ['jpeg-ls-80-uint8', -1, Buffer.from(secret)],
    ['j2k-90-uint8', -1, Buffer.from(secret)],
    ['htj2k-201-uint8', -1, Buffer.from(secret)],
  ])('is written over, and no pixel changes: %s, at %i', async (name, after, what) => {
    const bytes = planted(name, after, what)
    const { bytes: out, report } = await clean(bytes)
    expect(Buffer.from(out).toString('latin1')).not.toContain('SMITH')
    expect(report.changes).toContainEqual(expect.objectContaining({ tag: '7fe00010', name: 'Comments in Pixel Data' }))
    expect((await decodeFrame(out)).samples).toEqual((await decodeFrame(fixture(name))).samples)
  })

  it.each([
    ['jpeg-50-grey', 2, comment],
    ['j2k-90-uint8', 45, com],
    ['jpeg-50-grey', -1, Buffer.from(secret)],
  ])('is found where two fragments share it: %s, at %i', async (name, after, what) => {
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

describe('names may be burnt into', () => {
  const pixel: Part[] = [
    [0x00280010, 'US', Buffer.from([1, 0])],
    [0x00280011, 'US', Buffer.from([2, 0])],
    [0x00280100, 'US', Buffer.from([8, 0])],
    [0x7fe00010, 'OW', Buffer.from([1, 2])],
  ]
  const refused = (parts: Part[], pixels: object = {}, sopClass = ct) =>
    clean(file([...parts, ...pixel], explicit, sopClass), { options: ['clean-pixels'], pixels }).then(
      () => 'taken',
      error => error.code,
    )

  it('a CT that is a picture of a screen', async () => {
    expect(await refused([[0x00080060, 'CS', 'CT']])).toBe('taken')
    const type: Part = [0x00080008, 'CS', 'DERIVED\\SECONDARY\\SCREEN SAVE']
    expect(await refused([type, [0x00080060, 'CS', 'CT']])).toBe('pixels-not-cleaned')
  })

  it('ultrasound that says another modality, or writes its own small', async () => {
    const ultrasound: Part = [0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.6.1\0']
    expect(await refused([[0x00080060, 'CS', 'CT']], {}, ultrasound)).toBe('pixels-not-cleaned')
    expect(await refused([[0x00080060, 'CS', 'us']])).toBe('pixels-not-cleaned')
  })

  it('one that says so, whatever a rule knows of its device', async () => {
    const parts: Part[] = [
      [0x00080060, 'CS', 'CT'],
      [0x00280301, 'CS', 'YES'],
    ]
    expect(await refused(parts, { rules: [{ modality: 'CT', regions: [] }] })).toBe('pixels-not-cleaned')
  })
})
