import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { deidentifyRules } from '../../../schemas/deidentify.ts'
import { sharedPath } from '../../../tests/shared.ts'
import { decodeFrame } from '../decode.ts'
import { toDisplay } from '../display.ts'
import { describe as describeImage } from '../header.ts'
import { deidentify } from './deidentify.ts'

const fixtures = join(import.meta.dirname, '../../fixtures/imaging')
const fixture = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)))
const regions = [{ left: 3, top: 2, width: 10, height: 4 }]

function clean(bytes: Uint8Array, pixels: object) {
  const rules = deidentifyRules.parse({ options: ['clean-pixels'], pixels })
  return deidentify(bytes, { rules, key: Buffer.alloc(32, 7), site: 'main' })
}

const inside = (index: number, columns: number) => {
  const [row, column] = [Math.floor(index / columns), index % columns]
  return column >= 3 && column < 13 && row >= 2 && row < 6
}

const packed = [
  'rle-uint16',
  'jpeg-50-ybr-422',
  'jpeg-ls-80-rgb-ilv0',
  'j2k-90-int16',
  'frames-basic-table',
  'htj2k-201-uint8-rgb',
  'jpeg-70-signed-12',
]
const native = [
  'explicit-u8',
  'explicit-u16-frames',
  'rgb',
  'rgb-planes',
  'rgb-16',
  'big-endian-u16',
  'big-endian-u8-ow',
  'implicit-i16',
  'deflated-u8',
  'u32',
  'float32',
  'ybr-full',
  'ybr-full-422',
  'palette-8',
  'one-bit-frames',
]

describe('regions by rule', () => {
  for (const name of [...native, ...packed]) {
    it(`are black in every frame, and nothing else is changed: ${name}`, async () => {
      const bytes = fixture(`${name}.dcm`)
      const { bytes: out, report } = await clean(bytes, {
        rules: [{ modality: 'OT', manufacturer: 'rayLOG', regions }],
      })
      expect(report.pixels).toBe('regions')
      const { facts } = await describeImage(out, true)
      const native16 = packed.includes(name) || /422|one-bit/.test(name)
      if (native16) expect(facts.dicom?.transferSyntax).toBe('1.2.840.10008.1.2.1')
      else expect(facts.dicom?.transferSyntax).toBe((await describeImage(bytes, true)).facts.dicom?.transferSyntax)
      for (let frame = 1; frame <= facts.frames; frame++) {
        const [before, after] = [await decodeFrame(bytes, frame), await decodeFrame(out, frame)]
        expect([after.rows, after.columns, after.channels]).toEqual([before.rows, before.columns, before.channels])
        const first = name === 'palette-8' ? [0, 255, 0] : [0, 0, 0]
        for (let i = 0; i < after.samples.length; i++) {
          const pixel = Math.floor(i / after.channels)
          const want = inside(pixel, after.columns) ? first[i % after.channels] : before.samples[i]
          if (after.samples[i] !== want) expect.fail(`frame ${frame}, sample ${i}: ${after.samples[i]}, not ${want}`)
        }
        expect(toDisplay(after).data.length).toBe(toDisplay(before).data.length)
      }
    })
  }

  it('are those of the first rule that fits the device and the size', async () => {
    const rules = [
      { modality: 'US', regions },
      { model: 'another', regions },
      { rows: 21, regions },
      { rows: 20, columns: 24, regions: [] },
      { regions },
    ]
    const { bytes, report } = await clean(fixture('explicit-u8.dcm'), { rules })
    expect(report.pixels).toBe('known-clean')
    expect((await decodeFrame(bytes)).samples).toEqual((await decodeFrame(fixture('explicit-u8.dcm'))).samples)
    expect(Buffer.from(bytes).includes('(\0\x01\x03CS\x02\0NO', 0, 'latin1')).toBe(true)
  })
})

describe('images that may have names burnt in, and no rule', () => {
  it('are refused', async () => {
    await expect(clean(fixture('rgb.dcm'), {})).rejects.toMatchObject({ code: 'pixels-not-cleaned' })
  })

  it('or made black as a whole, every frame, without decoding any', async () => {
    for (const name of ['rgb', 'jpeg-50-ybr-420', 'frames-no-table', 'palette-8', 'one-bit-frames']) {
      const { bytes, report } = await clean(fixture(`${name}.dcm`), { unknown: 'blank' })
      expect(report.pixels).toBe('blanked')
      const { facts } = await describeImage(bytes, true)
      const { samples, channels } = await decodeFrame(bytes, facts.frames)
      expect(
        samples.every((value, i) => value === samples[i % channels]),
        name,
      ).toBe(true)
    }
  })

  it('or kept, where the settings say so', async () => {
    expect((await clean(fixture('rgb.dcm'), { unknown: 'keep' })).report.pixels).toBe('untouched')
  })

  it('are ultrasound and what says so itself, in real files (needs the shared data)', async ({ skip }) => {
    const dicom = sharedPath('data', 'dicom')
    if (dicom === undefined) return skip()
    const read = (name: string) => new Uint8Array(readFileSync(join(dicom, name)))
    const us = read('j2k-90-rct-us__US1_J2KR.dcm')
    await expect(clean(us, {})).rejects.toMatchObject({ code: 'pixels-not-cleaned' })
    expect((await clean(read('ct-ref-explicit__CT1_UNC.dcm'), {})).report.pixels).toBe('untouched')
    const top = [{ left: 0, top: 0, width: 640, height: 60 }]
    const { bytes } = await clean(us, { rules: [{ modality: 'US', rows: 480, columns: 640, regions: top }] })
    const [before, after] = [await decodeFrame(us), await decodeFrame(bytes)]
    expect(after.samples.subarray(0, 640 * 60 * 3).some(value => value !== 0)).toBe(false)
    expect(after.samples.subarray(640 * 60 * 3)).toEqual(before.samples.subarray(640 * 60 * 3))
  })
})
