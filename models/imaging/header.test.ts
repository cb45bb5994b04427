import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { expect, describe as group, it } from 'vitest'
import { z } from 'zod'
import { sharedPath } from '../../tests/shared.ts'
import { describe } from './header.ts'

const folder = join(import.meta.dirname, '../fixtures/imaging')
const fixture = (name: string) => readFileSync(join(folder, name))
const names = z.record(z.string(), z.string()).parse(JSON.parse(fixture('names.json').toString()))

/** One explicit VR little endian element. */
function element(tag: number, vr: string, value: string | Buffer, length?: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value.length % 2 === 0 ? value : `${value} `, 'latin1') : value
  const long = ['OB', 'OW', 'SQ', 'UN', 'UT'].includes(vr)
  const head = Buffer.alloc(long ? 12 : 8)
  head.writeUInt16LE(tag >>> 16, 0)
  head.writeUInt16LE(tag & 0xffff, 2)
  head.write(vr, 4, 'latin1')
  if (long) head.writeUInt32LE(length ?? bytes.length, 8)
  else head.writeUInt16LE(length ?? bytes.length, 6)
  return Buffer.concat([head, bytes])
}

const uids = [element(0x0020000d, 'UI', '1.2.3'), element(0x0020000e, 'UI', '1.2.4')]
function object(before: Buffer[], after: Buffer[] = []): Buffer {
  const identity = [element(0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.7'), element(0x00080018, 'UI', '1.2.5')]
  return Buffer.concat([...identity, ...before, ...uids, ...after])
}
const us = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer)

it('says what a DICOM image is, and who it is of apart from it', async () => {
  const { facts, patient } = await describe(fixture('explicit-u8.dcm'), true)
  expect(facts).toEqual({
    contentType: 'application/dicom',
    dicom: {
      sopClass: '1.2.840.10008.5.1.4.1.1.7',
      sopInstance: expect.stringMatching(/^1\.2\.826\.0\.1\.3680043\.10\.99999\.3\.\d+$/),
      series: '1.2.826.0.1.3680043.10.99999.2.1',
      study: '1.2.826.0.1.3680043.10.99999.1.1',
      transferSyntax: '1.2.840.10008.1.2.1',
    },
    modality: 'OT',
    bodyPart: 'CHEST',
    view: 'PA',
    laterality: null,
    studyInstances: null,
    rows: 20,
    columns: 24,
    frames: 1,
    photometric: 'MONOCHROME2',
    equipment: { manufacturer: 'Raylog', model: null, station: null },
    acquiredAt: Date.UTC(2024, 1, 29, 22, 29, 59, 500),
  })
  expect(patient).toEqual({
    name: 'Canary^Patient',
    patientId: 'CANARY-1',
    issuer: 'MAIN',
    birthDate: '19500102',
    sex: 'O',
    accession: 'ACC1',
  })
  expect(JSON.stringify(facts)).not.toMatch(/canary/i)
})

group('reads every way in which a data set is written', () => {
  const same = [
    'implicit-i16',
    'big-endian-u16',
    'deflated-u8',
    'no-preamble',
    'no-prefix',
    'no-meta-explicit',
    'no-meta-implicit',
    'no-meta-big-endian',
    'frames-extended-table',
    'rle-uint8',
  ]
  for (const name of same) {
    it(name, async () => {
      const bytes = fixture(`${name}.dcm`)
      const whole = await describe(bytes, true)
      expect(whole.facts.dicom?.study).toBe('1.2.826.0.1.3680043.10.99999.1.1')
      expect([whole.facts.rows, whole.facts.columns]).toEqual([20, 24])
      expect(whole.patient?.name).toBe('Canary^Patient')
      if (name !== 'deflated-u8') expect(await describe(bytes.subarray(0, 900), false)).toEqual(whole)
    })
  }
})

group('decodes names in their character set', () => {
  for (const [file, name] of Object.entries(names)) {
    it(file, async () => {
      const { patient } = await describe(fixture(file), true)
      expect(patient?.name?.normalize('NFC')).toBe(name.normalize('NFC'))
    })
  }
  const real: Record<string, string> = {
    'charset__chrArab.dcm': 'قباني^لنزار',
    'charset__chrH31.dcm': 'Yamada^Tarou=山田^太郎=やまだ^たろう',
    'charset__chrKoreanMulti.dcm': '김희중',
    'charset__chrX2.dcm': 'Wang^XiaoDong=王^小东=',
  }
  for (const [file, name] of Object.entries(real)) {
    const path = sharedPath('data', 'dicom', file)
    it.skipIf(path === undefined)(`${file} (needs the shared data)`, async () => {
      expect((await describe(readFileSync(path ?? ''), true)).patient?.name).toBe(name)
    })
  }
  it('reads Latin-1 and UTF-8 that nothing declares', async () => {
    for (const encoding of ['latin1', 'utf8'] as const) {
      const bytes = object([element(0x00100010, 'PN', Buffer.from('Zoë^Canary', encoding))])
      expect((await describe(bytes, true)).patient?.name).toBe('Zoë^Canary')
    }
  })
  it('shows a name as well as can be where its character set is none', async () => {
    const bytes = object([element(0x00080005, 'CS', 'KLINGON'), element(0x00100010, 'PN', 'Canary^P')])
    expect((await describe(bytes, true)).patient?.name).toBe('Canary^P')
  })
})

group('says when the image was made', () => {
  const cases: [string, [number, string, string][], number | null][] = [
    [
      'acquisition date and time first, with its own offset',
      [
        [0x0008002a, 'DT', '20200102030405.5-0500'],
        [0x00080020, 'DA', '20100101'],
      ],
      Date.UTC(2020, 0, 2, 8, 4, 5, 500),
    ],
    [
      'local time where no offset is given',
      [
        [0x00080022, 'DA', '20200102'],
        [0x00080032, 'TM', '0304'],
      ],
      new Date(2020, 0, 2, 3, 4).getTime(),
    ],
    ['study date alone', [[0x00080020, 'DA', '20200102']], new Date(2020, 0, 2).getTime()],
    ['nothing where nothing is said', [], null],
    [
      'nothing of nonsense',
      [
        [0x00080020, 'DA', '20201345'],
        [0x00080022, 'DA', 'yesterday'],
      ],
      null,
    ],
    ['nothing of 30 February', [[0x00080020, 'DA', '20200230']], null],
    [
      'the study where the acquisition is nonsense',
      [
        [0x00080020, 'DA', '20200102'],
        [0x00080022, 'DA', '00000000'],
      ],
      new Date(2020, 0, 2).getTime(),
    ],
  ]
  for (const [title, elements, at] of cases) {
    it(title, async () => {
      const bytes = object(elements.map(([tag, vr, value]) => element(tag, vr, value)))
      expect((await describe(bytes, true)).facts.acquiredAt).toBe(at)
    })
  }
})

it('describes objects without pixels as having no rows', async () => {
  const { facts } = await describe(fixture('no-pixels.dcm'), true)
  expect([facts.rows, facts.columns, facts.frames, facts.photometric, facts.modality]).toEqual([
    null,
    null,
    0,
    null,
    'SR',
  ])
})

it('refuses a DICOMDIR with the words for it', async () => {
  const bytes = Buffer.concat([element(0x00080016, 'UI', '1.2.840.10008.1.3.10'), element(0x00080018, 'UI', '1.2')])
  await expect(describe(bytes, true)).rejects.toMatchObject({
    code: 'not-an-image',
    message: expect.stringContaining('DICOMDIR'),
  })
})

it('trims padding off UIDs and refuses what is no UID', async () => {
  const { facts } = await describe(Buffer.concat([object([]), element(0x00280002, 'US', us(1))]), true)
  expect(facts.dicom?.study).toBe('1.2.3')
  for (const bad of ['1.2.x', '1.2/../3', '1'.repeat(66)]) {
    const bytes = Buffer.concat([element(0x00080016, 'UI', '1.2'), element(0x00080018, 'UI', bad), ...uids])
    await expect(describe(bytes, true), bad).rejects.toMatchObject({ code: 'malformed-dicom' })
  }
  await expect(describe(object([]).subarray(0, -14), true)).rejects.toMatchObject({ code: 'malformed-dicom' })
})

group('declared lengths', () => {
  it('of 2 GB in the header end as truncated, at once', async () => {
    const bytes = object([element(0x00091010, 'OB', Buffer.alloc(4), 0x7fffffff)])
    await expect(describe(bytes, true)).rejects.toMatchObject({ code: 'truncated' })
    await expect(describe(bytes, false)).rejects.toMatchObject({ code: 'truncated' })
  })
  it('of 2 GB after the facts do not matter to a beginning', async () => {
    const bytes = object([], [element(0x00420011, 'OB', Buffer.alloc(4), 0x7fffffff)])
    expect((await describe(bytes, false)).facts.dicom?.study).toBe('1.2.3')
    await expect(describe(bytes, true)).rejects.toMatchObject({ code: 'truncated' })
  })
  it('of pixels that are not there end as truncated', async () => {
    for (const name of ['explicit-u8.dcm', 'implicit-i16.dcm', 'rle-uint8.dcm', 'deflated-u8.dcm'])
      await expect(describe(fixture(name).subarray(0, -200), true), name).rejects.toMatchObject({ code: 'truncated' })
  })
  it('of rows and columns that the pixels cannot fill end as truncated', async () => {
    const image = [0x00280010, 0x00280011].map(tag => element(tag, 'US', us(65_535)))
    const bits = [element(0x00280100, 'US', us(16)), element(0x7fe00010, 'OW', Buffer.alloc(64))]
    const bytes = object([], [...image, ...bits])
    await expect(describe(bytes, true)).rejects.toMatchObject({ code: 'truncated' })
  })
})

it('passes over sequences without looking into them', async () => {
  const garbage = Buffer.alloc(4000, 0xee)
  const bytes = object([element(0x00081140, 'SQ', garbage)])
  expect((await describe(bytes, true)).facts.dicom?.study).toBe('1.2.3')
})

it('ends sequences nested without end', async () => {
  const open = Buffer.concat([
    element(0x00081140, 'SQ', Buffer.alloc(0), 0xffffffff),
    Buffer.from('feff00e0ffffffff', 'hex'),
  ])
  const bytes = object([Buffer.concat(Array.from({ length: 40_000 }, () => open))])
  await expect(describe(bytes, true)).rejects.toMatchObject({
    code: expect.stringMatching(/truncated|malformed-dicom/),
  })
})

group('deflated data sets', () => {
  const file = fixture('deflated-u8.dcm')
  const meta = file.subarray(0, 144 + file.readUInt32LE(140))
  it('are inflated no further than the facts need', async () => {
    const bomb = object([], [element(0x00420011, 'OB', Buffer.alloc(300_000_000))])
    const before = process.memoryUsage().rss
    const { facts } = await describe(Buffer.concat([meta, deflateRawSync(bomb)]), true)
    expect(facts.dicom?.study).toBe('1.2.3')
    expect(process.memoryUsage().rss - before).toBeLessThan(250_000_000)
  })
  it('are refused where they are not deflated', async () => {
    const bytes = Buffer.concat([meta, Buffer.alloc(500, 0xee)])
    for (const complete of [true, false])
      await expect(describe(bytes, complete)).rejects.toMatchObject({ code: 'malformed-dicom' })
  })
})
