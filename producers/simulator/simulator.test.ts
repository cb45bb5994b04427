import sharp from 'sharp'
import { describe, expect, it, vi } from 'vitest'
import { describe as describeImage } from '../../models/imaging/header.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { openProducer } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestPixels } from './chest.ts'
import { chestDicom, chestUids, digitPng, tissuePng } from './phantoms.ts'
import { simulator } from './stage.ts'

vi.mock(import('./chest.ts'), async original => {
  const real = await original()
  return { ...real, chestPixels: vi.fn(real.chestPixels) }
})

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

  it('of a chest is drawn once for sixteen seeds: the others are a copy with other UIDs', () => {
    const size = 32
    const draw = vi.mocked(chestPixels).mockClear()
    const files = Array.from({ length: 160 }, (_, seed) => chestDicom(seed, { size }))
    expect(draw).toHaveBeenCalledTimes(16)
    expect(new Set(files.map(file => file.toString('latin1'))).size).toBe(160)
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

  it('sends at its rate by the clock: none early, what is late by less than a second made up for, a longer stop not', async () => {
    const clock = new HandClock()
    const settings = { ratePerSecond: 10, kinds: ['digit'], seed: 1 }
    await using stage = await openProducer(simulator, { settings, clock })
    const sent = (count: number) =>
      until(`${count} images, and a wait for the next`, () => {
        expect(stage.published.length).toBeLessThanOrEqual(count)
        return stage.published.length === count && clock.sleeping.length === 1
      })
    await sent(1)
    expect(clock.sleeping).toEqual([100])
    for (let tenth = 1; tenth <= 10; tenth++) {
      clock.move(99)
      expect(clock.sleeping).toEqual([1])
      clock.move(1)
      await sent(1 + tenth)
    }
    // The machine was busy for most of a second: nine are due, and the tenth at its time.
    clock.move(950)
    await sent(11 + 9)
    expect(clock.sleeping).toEqual([50])
    // It slept for an hour: the one that was waited for, the one that is due now, and no flood.
    clock.move(3_600_000)
    await sent(20 + 2)
    expect(clock.sleeping).toEqual([100])
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
