import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sharedPath } from '../../tests/shared.ts'
import { decodeFrame } from './decode.ts'
import { toDisplay } from './display.ts'
import { toPreview } from './preview.ts'

const folder = join(import.meta.dirname, '../fixtures/imaging')
const previews = z
  .record(z.string(), z.object({ note: z.string(), frames: z.array(z.base64()) }))
  .parse(JSON.parse(readFileSync(join(folder, 'previews.json'), 'utf8')))

describe('a preview shows what Python reckons, to one grey level', () => {
  for (const [name, { note, frames }] of Object.entries(previews)) {
    it(`${name}: ${note}`, async () => {
      const bytes = readFileSync(join(folder, name))
      for (const [index, data] of frames.entries()) {
        const got = toPreview(await decodeFrame(bytes, index + 1))
        const want = Buffer.from(data, 'base64')
        expect(got.data.length).toBe(want.length)
        expect(
          Math.max(...got.data.map((grey, i) => Math.abs(grey - (want[i] ?? 0)))),
          `frame ${index + 1}`,
        ).toBeLessThanOrEqual(1)
      }
    })
  }
})

it('gives models the image without graphics and added colours', async () => {
  for (const name of ['overlay-graphics', 'overlay-colour', 'overlay-embedded', 'palette-supplemental']) {
    const frame = await decodeFrame(readFileSync(join(folder, `${name}.dcm`)))
    const { overlay: _, supplement: __, ...plain } = frame
    expect(toDisplay(frame), name).toEqual(toDisplay(plain))
    expect(toPreview(frame), name).not.toEqual(toDisplay(frame))
  }
})

it('leaves out an overlay whose data end too early, or whose bits are those of the pixels', async () => {
  const short = readFileSync(join(folder, 'overlay-graphics.dcm'))
  const rows = short.indexOf(Buffer.from('006010005553020007', 'hex'))
  short.writeUInt16LE(700, rows + 8)
  expect((await decodeFrame(short)).overlay).toBeUndefined()
  const within = readFileSync(join(folder, 'overlay-embedded.dcm'))
  const bit = within.indexOf(Buffer.from('0060020155530200', 'hex'))
  within.writeUInt16LE(3, bit + 8)
  expect((await decodeFrame(within)).overlay).toBeUndefined()
})

it('draws the overlay of a real file as pydicom reads it (needs the shared data)', async ({ skip }) => {
  const path = sharedPath('data', 'dicom', 'overlay__examples_overlay.dcm')
  if (path === undefined) return skip()
  const { overlay, rows, columns } = await decodeFrame(readFileSync(path))
  expect([rows, columns, overlay?.length]).toEqual([300, 484, 145_200])
  // sum of overlay_array(0x6000), and of its first 100 rows
  expect([overlay, overlay?.subarray(0, 48_400)].map(part => part?.reduce((sum, bit) => sum + bit, 0))).toEqual([
    222, 37,
  ])
})

it('shows the coloured part of a real enhanced CT in colour (needs the shared data)', async ({ skip }) => {
  const path = sharedPath('data', 'dicom', 'enhanced-ct-supp-palette__eCT_Supplemental.dcm')
  if (path === undefined) return skip()
  const frame = await decodeFrame(readFileSync(path))
  const { channels, data } = toPreview(frame)
  expect([frame.channels, channels, frame.supplement?.first]).toEqual([1, 3, 1024])
  const greyAt = (i: number) => data[i * 3] === data[i * 3 + 1] && data[i * 3] === data[i * 3 + 2]
  const mapped = frame.samples.findIndex(value => value > 1060)
  expect(greyAt(mapped)).toBe(false)
  expect(frame.samples.every((value, i) => value >= 1024 || greyAt(i))).toBe(true)
})
