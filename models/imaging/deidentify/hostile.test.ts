/** Objects in which names hide where a reader that goes by the book does not look. */
import { describe, expect, it } from 'vitest'
import { deidentifyRules } from '../../../schemas/deidentify.ts'
import { parseDataSet } from '../dicom/dataset.ts'
import { type Encoding, headOf, itemTag } from '../dicom/elements.ts'
import { explicitLittle, implicitLittle } from '../dicom/syntaxes.ts'
import { deidentify } from './deidentify.ts'
import { fileMeta } from './file-meta.ts'

const key = Buffer.alloc(32, 7)
const explicit: Encoding = { explicit: true, big: false }
const implicit: Encoding = { explicit: false, big: false }
const secret = 'CANARY^SMITH'

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
