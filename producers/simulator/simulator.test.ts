import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { describe as describeImage } from '../../models/imaging/header.ts'
import { openProducer } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestPixels } from './chest.ts'
import { chestDicom, chestUids, digitPng, tissuePng } from './phantoms.ts'
import { simulator } from './stage.ts'

describe('a phantom', () => {
  it('is the same for the same seed, and another for another', async () => {
    expect(chestDicom(7).equals(chestDicom(7))).toBe(true)
    expect(chestDicom(7).equals(chestDicom(8))).toBe(false)
    expect((await digitPng(7)).equals(await digitPng(7))).toBe(true)
    expect((await digitPng(7, 3)).equals(await digitPng(8, 3))).toBe(false)
    expect((await tissuePng(7)).equals(await tissuePng(8))).toBe(false)
  })

  it('of a chest is a whole radiograph, with the UIDs of its seed and a patient of its study', async () => {
    for (const size of [256, 512, 1024]) {
      const { facts, patient } = await describeImage(
        chestDicom(12, { size, study: 3, takenAt: Date.UTC(2026, 1, 3, 4, 5, 6) }),
        true,
      )
      expect(facts).toMatchObject({
        dicom: chestUids(12, 3),
        modality: 'DX',
        bodyPart: 'CHEST',
        view: 'PA',
        rows: size,
        columns: size,
        photometric: 'MONOCHROME2',
        acquiredAt: Date.UTC(2026, 1, 3, 4, 5, 6),
      })
      expect(patient).toMatchObject({ name: 'Demo^Phantom 00000003', patientId: 'DEMO-00000003' })
    }
  })

  it('of a chest has lungs that are darker than the heart and the spine between them', () => {
    const size = 256
    for (let seed = 0; seed < 16; seed++) {
      const pixels = chestPixels(seed, size)
      const at = (x: number, y: number) => pixels[Math.round(y * size) * size + Math.round(x * size)] ?? 0
      const spine = at(0.5, 0.4)
      const heart = at(0.56, 0.62)
      const lungs = Math.min(at(0.24, 0.3), at(0.76, 0.3))
      expect(lungs).toBeLessThan(Math.min(spine, heart) - 500)
      expect(at(0.01, 0.05)).toBeLessThan(300)
    }
  })

  it('of a digit is white on black, and of tissue is pink and purple', async () => {
    for (let digit = 0; digit < 10; digit++) {
      const png = await digitPng(digit, digit)
      expect(await sharp(png).metadata()).toMatchObject({ width: 56, height: 56, channels: 1 })
      const data = await sharp(png).toColourspace('b-w').raw().toBuffer()
      const ink = data.filter(value => value > 127).length / data.length
      expect(ink).toBeGreaterThan(0.03)
      expect(ink).toBeLessThan(0.25)
      expect(data[0]).toBe(0)
    }
    const { channels } = await sharp(await tissuePng(1)).stats()
    const [red, green, blue] = channels.map(channel => channel.mean)
    expect(green).toBeLessThan(Math.min(red ?? 0, blue ?? 0))
  })

  it('of a chest costs a sender less than 2 ms', () => {
    for (let seed = 0; seed < 16; seed++) chestDicom(seed)
    const started = performance.now()
    for (let seed = 0; seed < 200; seed++) chestDicom(seed)
    expect((performance.now() - started) / 200).toBeLessThan(2)
  })
})

describe('the simulator', () => {
  it('is off unless it has a rate', async () => {
    await using stage = await openProducer(simulator)
    await stage.drain()
    expect(stage.published).toEqual([])
  })

  it('sends every kind in turn, marked as made up, and asks for the models that cannot know by themselves', async () => {
    await using stage = await openProducer(simulator, {
      settings: { ratePerSecond: 200, limit: 6, seed: 1, chestSize: 256 },
    })
    await until('six images', () => stage.published.length === 6)
    const seen = stage.published
      .map(({ source, requested }) => [source.kind, source.peer, ...requested].join(' '))
      .sort()
    expect(seen).toEqual([
      ...Array(2).fill('simulator chest'),
      ...Array(2).fill('simulator digit digits'),
      ...Array(2).fill('simulator tissue breast'),
    ])
  })

  it('stops when it is told to, and leaves nothing half done', async () => {
    await using stage = await openProducer(simulator, { settings: { ratePerSecond: 500, chestSize: 256 } })
    await until('some images', () => stage.published.length > 5)
    await stage.drain()
    const count = stage.published.length
    await new Promise(resolve => setImmediate(resolve))
    expect(stage.published).toHaveLength(count)
  })
})
