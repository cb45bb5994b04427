import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { sharedPath } from '../../tests/shared.ts'
import { decodeFrame } from './decode.ts'
import { notDecoded } from './dicom/syntaxes.ts'
import type { DecodedFrame, Samples } from './types.ts'

const folder = join(import.meta.dirname, '../fixtures/imaging')
const fixture = (name: string) => readFileSync(join(folder, name))

const frame = z.object({
  type: z.string(),
  rows: z.int(),
  columns: z.int(),
  channels: z.int(),
  sha256: z.string(),
})
const expected = z
  .record(z.string(), z.array(frame.extend({ tolerance: z.int().optional(), data: z.base64().optional() })))
  .parse(
    Object.assign({}, ...['expected.json', 'expected-more.json'].map(name => JSON.parse(fixture(name).toString()))),
  )

const kinds: Record<string, string> = {
  uint8: 'Uint8Array',
  int8: 'Int8Array',
  uint16: 'Uint16Array',
  int16: 'Int16Array',
  uint32: 'Uint32Array',
  int32: 'Int32Array',
  float32: 'Float32Array',
  float64: 'Float64Array',
}

function digest(samples: Samples): string {
  return createHash('sha256')
    .update(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength))
    .digest('hex')
}

function shape({ rows, columns, channels, samples }: DecodedFrame) {
  return { rows, columns, channels, type: samples.constructor.name, length: samples.length }
}

describe('every encoding decodes to what was encoded', () => {
  for (const [name, frames] of Object.entries(expected)) {
    it(name, async () => {
      const bytes = fixture(name)
      for (const [index, want] of frames.entries()) {
        const got = await decodeFrame(bytes, index + 1)
        const { rows, columns, channels } = want
        expect(shape(got)).toEqual({
          rows,
          columns,
          channels,
          type: kinds[want.type],
          length: rows * columns * channels,
        })
        if (digest(got.samples) === want.sha256) continue
        expect(farthest(got.samples, want.data, want.type)).toBeLessThanOrEqual(want.tolerance ?? 0)
      }
    })
  }
})

/** Largest difference between what was decoded and base64 little endian samples. */
function farthest(samples: Samples, data: string | undefined, type: string): number {
  const bytes = Uint8Array.from(Buffer.from(data ?? '', 'base64'))
  const wide = { uint16: Uint16Array, int16: Int16Array }[type]
  const want = [...(wide ? new wide(bytes.buffer) : bytes)]
  if (want.length !== samples.length) return Number.POSITIVE_INFINITY
  return Math.max(...want.map((value, i) => Math.abs(value - (samples[i] ?? Number.NaN))))
}

const real = z
  .record(
    z.string(),
    z.object({
      lossy: z.boolean(),
      frames: z.array(frame.extend({ frame: z.int(), at: z.array(z.int()), values: z.array(z.number()) })),
    }),
  )
  .parse(JSON.parse(fixture('shared.json').toString()))

describe('real files decode to what Python makes of them', () => {
  const dicom = sharedPath('data', 'dicom')
  for (const [name, { lossy, frames }] of Object.entries(real)) {
    it.skipIf(dicom === undefined)(`${name} (needs the shared data)`, async () => {
      const bytes = readFileSync(join(dicom ?? '', name))
      for (const want of frames) {
        const got = await decodeFrame(bytes, want.frame)
        const { rows, columns, channels, type } = want
        expect(shape(got)).toEqual({ rows, columns, channels, type: kinds[type], length: rows * columns * channels })
        if (digest(got.samples) === want.sha256) continue
        const gaps = want.at.map((at, i) => Math.abs((got.samples[at] ?? Number.NaN) - (want.values[i] ?? 0)))
        expect(Math.max(...gaps)).toBeLessThanOrEqual(lossy ? 1 : 0)
        expect(lossy, 'a lossless file must have the digest').toBe(true)
      }
    })
  }
})

it('says that video and the like are stored, and not decoded', async () => {
  const video = fixture('jpeg-50-grey.dcm')
  // The element's length, and all that follows, moved by the two characters more.
  const at = video.indexOf('1.2.840.10008.1.2.4.50')
  video.writeUInt16LE(24, at - 2)
  const longer = [video.subarray(0, at), Buffer.from('1.2.840.10008.1.2.4.103\0'), video.subarray(at + 22)]
  await expect(decodeFrame(Buffer.concat(longer))).rejects.toMatchObject({
    code: 'video-not-decoded',
    message: 'MPEG-4 AVC/H.264 (transfer syntax 1.2.840.10008.1.2.4.103) is stored, and not decoded',
  })
  for (const tail of ['100', '101', '102', '102.1', '103.1', '104', '105.1', '106', '107', '108'])
    expect(notDecoded(`1.2.840.10008.1.2.4.${tail}`)).toMatchObject({
      code: 'video-not-decoded',
      message: expect.stringMatching(/^(MPEG-2|MPEG-4|HEVC).* is stored, and not decoded$/),
    })
  expect(notDecoded('1.2.840.10008.1.2.4.110').message).toContain('JPEG XL Lossless')
  expect(notDecoded('1.2.3').code).toBe('unknown-transfer-syntax')
})

it('names the transfer syntax that it does not decode', async () => {
  const bytes = fixture('jpeg-50-grey.dcm')
  const at = bytes.indexOf('1.2.840.10008.1.2.4.50')
  bytes.write('1.2.840.10008.1.2.4.99', at)
  await expect(decodeFrame(bytes)).rejects.toMatchObject({
    code: 'unknown-transfer-syntax',
    message: expect.stringContaining('1.2.840.10008.1.2.4.99'),
  })
})

it('says that there are no pixels where there are none', async () => {
  await expect(decodeFrame(fixture('no-pixels.dcm'))).rejects.toMatchObject({ code: 'no-pixels' })
})

it('refuses a frame that is not there', async () => {
  for (const number of [0, 4, 1.5, Number.NaN])
    await expect(decodeFrame(fixture('one-bit-frames.dcm'), number)).rejects.toMatchObject({ code: 'decode-failed' })
})

it('takes window and rescale from the functional groups of the frame', async () => {
  const bytes = fixture('functional-groups.dcm')
  const [first, second] = [await decodeFrame(bytes, 1), await decodeFrame(bytes, 2)]
  expect(first.windows).toEqual([{ center: 100, width: 600, shape: 'linear' }])
  expect(first.modality).toEqual({ slope: 1, intercept: 0 })
  expect(second.windows).toEqual([{ center: 900, width: 600, shape: 'linear' }])
  expect(second.modality).toEqual({ slope: 1, intercept: -500 })
})

it('leaves the bytes that it was given as they are', async () => {
  for (const name of ['big-endian-u16.dcm', 'ybr-full.dcm', 'signed-12-bits.dcm', 'deflated-u8.dcm']) {
    const bytes = fixture(name)
    const { samples } = await decodeFrame(bytes)
    samples.fill(1)
    expect(bytes.equals(fixture(name)), name).toBe(true)
  }
})

it('decodes good frames after many damaged ones', { timeout: 120_000 }, async () => {
  for (const name of [
    'j2k-90-uint16.dcm',
    'jpeg-ls-80-uint8.dcm',
    'jpeg-70-int16.dcm',
    'jpeg-50-ybr-420.dcm',
    'htj2k-201-uint16.dcm',
  ]) {
    const good = fixture(name)
    const wanted = digest((await decodeFrame(good)).samples)
    for (let round = 0; round < 12; round++) {
      const damaged = Buffer.from(good)
      // past the headers, within the entropy coded part
      damaged.fill(0xff, damaged.length - 160 - round, damaged.length - 60)
      await decodeFrame(damaged).then(
        () => undefined,
        error => expect(['decode-failed', 'truncated']).toContain(error.code),
      )
    }
    expect(digest((await decodeFrame(good)).samples), name).toBe(wanted)
  }
})
