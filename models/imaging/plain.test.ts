/** Pictures that are not DICOM, and what is no picture at all. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { expect, describe as group, it } from 'vitest'
import { describe } from './header.ts'

const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/imaging', name))

group('plain images', () => {
  it('are described by their header', async () => {
    const { facts, patient } = await describe(fixture('rgb.png'), true)
    expect(patient).toBeNull()
    expect(facts).toMatchObject({
      contentType: 'image/png',
      dicom: null,
      rows: 20,
      columns: 24,
      frames: 1,
      photometric: 'RGB',
    })
    expect((await describe(fixture('grey-16.png'), true)).facts.photometric).toBe('MONOCHROME2')
    expect((await describe(fixture('pages.tif'), true)).facts).toMatchObject({ contentType: 'image/tiff', frames: 2 })
  })
  it('turn as EXIF says', async () => {
    const { facts } = await describe(fixture('rotated.jpg'), true)
    expect([facts.rows, facts.columns]).toEqual([24, 20])
  })
  it('are refused where they would be bombs', async () => {
    const bomb = Buffer.from(fixture('grey.png'))
    bomb.writeUInt32BE(60_000, 16)
    bomb.writeUInt32BE(60_000, 20)
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29)
    await expect(describe(bomb, true)).rejects.toMatchObject({ code: 'too-large' })
  })
})

it('knows what is not an image', async () => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(1000),
    Buffer.from('GIF89a……'),
    Buffer.from('%PDF-1.7'),
    Buffer.from('PK\x03\x04'),
  ])
    await expect(describe(bytes, true)).rejects.toMatchObject({ code: 'not-an-image' })
})
