import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type DeidentifyOption, deidentifyOptions, deidentifyRules } from '../../../schemas/deidentify.ts'
import { sharedPath } from '../../../tests/shared.ts'
import { decodeFrame } from '../decode.ts'
import { parseDataSet } from '../dicom/dataset.ts'
import { type Encoding, hex, itemsOf, piecesIn, sourceOf } from '../dicom/elements.ts'
import { describe as describeImage } from '../header.ts'
import { deidentify } from './deidentify.ts'
import { plantedObject } from './planted.ts'
import { rows } from './table.ts'

const key = Buffer.alloc(32, 7)
const fixtures = join(import.meta.dirname, '../../fixtures/imaging')
const fixture = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)))
const ct = '1.2.840.10008.5.1.4.1.1.2'
const ours = '1.2.826.0.1.3680043.10.99999'
const uids = { sopClass: ct, sopInstance: `${ours}.77.900001`, study: `${ours}.77.900002`, series: `${ours}.77.900003` }

const encodings: Record<string, [string, Encoding]> = {
  'explicit little endian': ['1.2.840.10008.1.2.1', { explicit: true, big: false }],
  'implicit little endian': ['1.2.840.10008.1.2', { explicit: false, big: false }],
  'explicit big endian': ['1.2.840.10008.1.2.2', { explicit: true, big: true }],
}

function clean(bytes: Uint8Array, settings: object = {}, site = 'main') {
  return deidentify(bytes, { rules: deidentifyRules.parse({ pixels: { unknown: 'keep' }, ...settings }), key, site })
}

const holds = (bytes: Uint8Array, text: string) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(text, 0, 'latin1')

/** A part that all planted texts of a kind have, and how it may stand in bytes: in UTF-16, escaped, in hexadecimal, in base64. */
function formsOf(text: string): Buffer[] {
  const plain = Buffer.from(text, 'latin1')
  const wide = Buffer.from(text, 'utf16le')
  const escaped = [...text].map(letter => `\\x${letter.charCodeAt(0).toString(16)}`).join('')
  // Wherever it begins within three bytes; the first and last letter hang on what stands beside it.
  const base64 = [0, 1, 2].map(before =>
    Buffer.from(
      Buffer.concat([Buffer.alloc(before), plain])
        .toString('base64')
        .slice(before + 1, -4),
    ),
  )
  return [plain, wide, Buffer.from(wide).swap16(), Buffer.from(escaped), Buffer.from(plain.toString('hex')), ...base64]
}

const anyForm = (bytes: Uint8Array, text: string) => formsOf(text).some(form => Buffer.from(bytes).includes(form))

/** Of the first frame, as it decodes. */
async function digest(bytes: Uint8Array): Promise<string> {
  const { samples } = await decodeFrame(bytes)
  return createHash('sha256')
    .update(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength))
    .digest('hex')
}

/** Every element, those within sequences too, as path and value. */
function flatten(bytes: Uint8Array, start: number, encoding: Encoding): Map<string, string> {
  const source = sourceOf(bytes)
  const found = new Map<string, string>()
  const walk = (from: number, to: number, path: string) => {
    for (const piece of piecesIn(source, from, to, encoding)) {
      const at = `${path}${hex(piece.tag)}`
      if (piece.vr === 'SQ')
        itemsOf(source, piece.from, piece.to, encoding).forEach((item, i) => {
          walk(item.from, item.to, `${at}[${i}].`)
        })
      else
        found.set(
          at,
          Buffer.from(bytes.subarray(piece.from, piece.to))
            .toString('latin1')
            .replace(/[\0 ]+$/, ''),
        )
    }
  }
  walk(start, bytes.length, '')
  return found
}

async function elementsOf(bytes: Uint8Array): Promise<Map<string, string>> {
  const parsed = await parseDataSet(bytes, { lastGroup: 0xffff, complete: true, maxInflated: 1e8 })
  return flatten(parsed.bytes, parsed.start, { explicit: true, big: parsed.transferSyntax === '1.2.840.10008.1.2.2' })
}

describe('an object with an identifier in every attribute of table E.1-1', () => {
  for (const [name, [syntax, encoding]] of Object.entries(encodings)) {
    it(`loses all of them, in ${name}`, async () => {
      const { bytes, secrets } = plantedObject(encoding, syntax, uids)
      expect(secrets.length).toBeGreaterThan(1_000)
      for (const { text } of secrets.slice(0, 50)) expect(holds(bytes, text)).toBe(true)
      const { bytes: out, report } = await clean(bytes, { options: ['clean-pixels'] })
      const left = secrets.filter(({ text }) => holds(out, text))
      expect(left).toEqual([])
      for (const word of ['CANARY0', 'Canary^0', '.99999.77.', '0613111213.', '111213.0']) {
        expect(anyForm(bytes, word), word).toBe(true)
        expect(anyForm(out, word), word).toBe(false)
      }
      // Numbers of two bytes are too short to search for; the report says what became of each attribute.
      const changed = new Set(report.changes.map(({ tag }) => tag))
      const expected = rows.filter(
        ({ tag, basic }) => /^[0-9a-f]{8}$/.test(tag) && !/^000[024]/.test(tag) && !basic.includes('U*'),
      )
      expect(expected.filter(({ tag }) => !changed.has(tag)).map(({ name: row }) => row)).toEqual([])
      const { facts, patient } = await describeImage(out, true)
      expect(facts.dicom?.sopClass).toBe(ct)
      expect(facts.dicom?.transferSyntax).toBe(syntax)
      expect(patient?.patientId).toMatch(/^RL[0-9A-F]{16}$/)
      expect(await digest(out)).toBe(await digest(bytes))
    })
  }

  it('keeps what each option lets it keep, and no more', async () => {
    const [syntax, encoding] = encodings['explicit little endian'] ?? ['', { explicit: true, big: false }]
    const { bytes, secrets } = plantedObject(encoding, syntax, uids)
    const columns: [DeidentifyOption, 'uids' | 'device' | 'institution' | 'patient' | 'fullDates'][] = [
      ['retain-uids', 'uids'],
      ['retain-device', 'device'],
      ['retain-institution', 'institution'],
      ['retain-patient-characteristics', 'patient'],
      ['retain-full-dates', 'fullDates'],
    ]
    for (const [option, column] of columns) {
      const { bytes: out } = await clean(bytes, { options: [option] })
      const may = new Set<string>(rows.filter(row => row[column] === 'K').map(({ tag }) => tag))
      const left = secrets
        .filter(({ text }) => holds(out, text))
        .map(({ tag, inside }) => (tag === '00081155' && column === 'uids' ? '00080018' : inside))
      expect(
        left.filter(tag => !may.has(tag)),
        option,
      ).toEqual([])
      expect(left.length, option).toBeGreaterThan(0)
    }
  })

  it('says what was done to it, as the standard asks, and in the report, never what was there', async () => {
    const [syntax, encoding] = encodings['explicit little endian'] ?? ['', { explicit: true, big: false }]
    const { bytes } = plantedObject(encoding, syntax, uids)
    const { bytes: out, report } = await clean(bytes)
    const said = await elementsOf(out)
    expect(said.get('00120062')).toBe('YES')
    expect(said.get('00120063')).toContain('shift-dates')
    expect(said.get('00280303')).toBe('MODIFIED')
    const codes = [0, 1, 2].map(i => said.get(`00120064[${i}].00080100`))
    expect(codes).toEqual(['113100', '113107', '113101'])
    expect(JSON.stringify(report)).not.toMatch(/canary|99999\.77/i)
    expect(report.changes).toContainEqual({ tag: '00100030', name: "Patient's Birth Date", action: 'empty', count: 2 })
    expect(report.changes).toContainEqual({ tag: 'private', name: 'Private attributes', action: 'remove', count: 2 })
  })
})

describe('two objects of a study', () => {
  it('stay together: the same UIDs and the same days for the same patient, others for others', async () => {
    const [syntax, encoding] = encodings['explicit little endian'] ?? ['', { explicit: true, big: false }]
    const first = fixture('explicit-u8.dcm')
    const second = fixture('implicit-i16.dcm')
    const [a, b, elsewhere] = await Promise.all([clean(first), clean(second), clean(first, {}, 'other')])
    const facts = await Promise.all([a, b, elsewhere].map(one => describeImage(one.bytes, true)))
    const [one, two, three] = facts
    expect(one?.facts.dicom?.study).toBe(two?.facts.dicom?.study)
    expect(one?.facts.dicom?.study).toMatch(/^2\.25\.\d{1,39}$/)
    expect(one?.facts.dicom?.sopInstance).not.toBe(two?.facts.dicom?.sopInstance)
    expect(one?.patient?.patientId).toBe(two?.patient?.patientId)
    expect(three?.patient?.patientId).not.toBe(one?.patient?.patientId)
    expect(one?.facts.acquiredAt).toBe(two?.facts.acquiredAt)
    const [before, after] = await Promise.all([elementsOf(first), elementsOf(a.bytes)])
    expect(after.get('00080030')).toBe(before.get('00080030'))
    const day = (text = '') => Date.UTC(Number(text.slice(0, 4)), Number(text.slice(4, 6)) - 1, Number(text.slice(6)))
    const days = (day(before.get('00080020')) - day(after.get('00080020'))) / 86_400_000
    expect(Number.isInteger(days) && days >= 30).toBe(true)
    // A reference in one finds the other.
    const referring = plantedObject(encoding, syntax, uids)
    const referred = plantedObject(encoding, syntax, { ...uids, sopInstance: `${ours}.77.123` })
    const [x, y] = await Promise.all([clean(referring.bytes), clean(referred.bytes)])
    const uid = (await describeImage(y.bytes, true)).facts.dicom?.sopInstance
    expect(uid).toMatch(/^2\.25\./)
    const secret = referring.secrets.find(({ inside }) => inside === '00081140')
    const other = await clean(plantedObject(encoding, syntax, { ...uids, sopInstance: secret?.text ?? '' }).bytes)
    const found = (await describeImage(other.bytes, true)).facts.dicom?.sopInstance ?? ''
    expect(holds(x.bytes, found)).toBe(true)
  })

  it('are made the same again, byte for byte', async () => {
    const [once, again] = await Promise.all([clean(fixture('deflated-u8.dcm')), clean(fixture('deflated-u8.dcm'))])
    expect(Buffer.from(once.bytes).equals(again.bytes)).toBe(true)
  })
})

describe('what nobody asked to change', () => {
  const names = [
    'explicit-u16-frames',
    'big-endian-u16',
    'deflated-u8',
    'functional-groups',
    'frames-extended-table',
    'j2k-90-uint16',
    'rle-uint16-rgb',
    'palette-segmented',
    'voi-lut',
  ]
  for (const name of names) {
    it(`stays byte for byte, the pixels and the transfer syntax too: ${name}`, async () => {
      const bytes = fixture(`${name}.dcm`)
      const { bytes: out, report } = await clean(bytes)
      expect(report.pixels).toBe('untouched')
      const [before, after] = await Promise.all([elementsOf(bytes), elementsOf(out)])
      const changed = new Set(report.changes.map(({ tag }) => tag))
      for (const [path, value] of before) {
        const tag = path.slice(-8)
        if (!changed.has(tag) && !tag.endsWith('0000')) expect(after.get(path), path).toBe(value)
      }
      expect(await digest(out)).toBe(await digest(bytes))
    })
  }

  it('stays in real files (needs the shared data)', async ({ skip }) => {
    const path = sharedPath('data', 'dicom', 'ct-ref-explicit__CT1_UNC.dcm')
    if (path === undefined) return skip()
    const bytes = new Uint8Array(readFileSync(path))
    const { bytes: out } = await clean(bytes)
    expect(await digest(out)).toBe(await digest(bytes))
    const name = (await describeImage(bytes, true)).patient?.name ?? ''
    expect(name.length).toBeGreaterThan(3)
    expect(holds(out, name)).toBe(false)
  })
})

describe('options', () => {
  it('each have a code of their own in what the object says', async () => {
    for (const option of deidentifyOptions) {
      const { bytes } = await clean(fixture('explicit-u8.dcm'), { options: [option] })
      expect((await elementsOf(bytes)).get('00120064[1].00080100'), option).toMatch(/^1131\d\d$/)
    }
  })

  it('exclude each other where they contradict', () => {
    expect(() => deidentifyRules.parse({ options: ['shift-dates', 'retain-full-dates'] })).toThrow(/exclude/)
  })
})

it('refuses what it cannot make safe', async () => {
  await expect(clean(fixture('grey.png'))).rejects.toMatchObject({ code: 'not-deidentified' })
  await expect(clean(fixture('explicit-u8.dcm').subarray(0, 600))).rejects.toMatchObject({ code: 'truncated' })
  await expect(clean(new Uint8Array(500))).rejects.toMatchObject({ code: 'not-an-image' })
  const kept = await clean(fixture('grey.png'), { plainImages: 'keep' })
  expect(Buffer.from(kept.bytes).equals(fixture('grey.png'))).toBe(true)
})
