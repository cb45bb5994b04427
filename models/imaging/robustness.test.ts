import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readFileMeta } from '../../dicom/part10.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { decodeFrame } from './decode.ts'
import { describe } from './header.ts'
import { toPreview } from './preview.ts'

const folder = join(import.meta.dirname, '../fixtures/imaging')
const names = readdirSync(folder).filter(name => /\.(dcm|png|jpg|tif)$/.test(name))
const files = new Map(names.map(name => [name, readFileSync(join(folder, name))]))

/** RAYLOG_FUZZ_RUNS=10000 for more than every run of the tests needs, RAYLOG_FUZZ_SEED for others; a failure names its seed and path. */
const fuzzRuns = Number(process.env.RAYLOG_FUZZ_RUNS ?? 250)
const seed = Number(process.env.RAYLOG_FUZZ_SEED ?? 20_240_229)

const ofHeader = new Set(['not-an-image', 'malformed-dicom', 'truncated', 'too-large'])
const ofDecode = new Set([...ofHeader, 'unknown-transfer-syntax', 'video-not-decoded', 'no-pixels', 'decode-failed'])

/** Either a whole picture or an error of the table; what else comes is thrown on. */
async function tryAll(bytes: Uint8Array): Promise<string[]> {
  const code = (allowed: Set<string>) => (thrown: unknown) => {
    if (thrown instanceof RaylogError && allowed.has(thrown.code)) return thrown.code
    throw thrown
  }
  const decoded = decodeFrame(bytes).then(frame => {
    expect(frame.samples.length).toBe(frame.rows * frame.columns * frame.channels)
    const shown = toPreview(frame)
    expect(shown.data.length).toBe(frame.rows * frame.columns * shown.channels)
    return 'decoded'
  })
  const described = [true, false].map(complete =>
    describe(bytes, complete).then(({ facts }) => {
      expect(JSON.stringify(facts)).not.toMatch(/canary/i)
      return 'described'
    }, code(ofHeader)),
  )
  return Promise.all([decoded.catch(code(ofDecode)), ...described])
}

it('knows every file of the fixtures', () => {
  expect(names.length).toBeGreaterThan(100)
})

it('gives an error for every file cut in the middle of its pixels', async () => {
  const kept = /^(no-pixels|charset|frames-|.*-frames|pages|functional)/ // a first frame may be whole, or too little is cut
  for (const [name, bytes] of files) {
    const [decoded] = await tryAll(bytes.subarray(0, bytes.length >> 1))
    if (!kept.test(name)) expect(decoded, name).toMatch(/truncated|decode-failed|malformed-dicom|no-pixels/)
  }
})

it('gives an error for nothing, for zeros, and for one byte', async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(1), new Uint8Array(100_000)])
    expect(await tryAll(bytes)).toEqual(['not-an-image', 'not-an-image', 'not-an-image'])
})

it('gives an error where a file ends right behind its preamble, or right behind its meta information', async () => {
  for (const [name, bytes] of files) {
    const dataAt = name.endsWith('.dcm') ? readFileMeta(bytes)?.dataAt : undefined
    if (dataAt === undefined) continue
    const nothing = ['truncated', 'truncated', 'truncated']
    expect(await tryAll(bytes.subarray(0, dataAt)), name).toEqual(nothing)
    if (bytes.toString('latin1', 128, 132) === 'DICM')
      expect(await tryAll(bytes.subarray(0, 132)), name).toEqual(nothing)
  }
})

it('gives an error where the pixels are emptied or zeroed', async () => {
  for (const name of names.filter(file => /^(j2k|htj2k|jpeg|rle)/.test(file))) {
    const bytes = files.get(name) ?? Buffer.alloc(0)
    const pixels = bytes.indexOf(Buffer.from('e07f10004f420000ffffffff', 'hex')) + 12
    const zeroed = Buffer.from(bytes)
    zeroed.fill(0, pixels + 8 + zeroed.readUInt32LE(pixels + 4) + 8, zeroed.length - 8)
    const emptied = Buffer.concat([
      bytes.subarray(0, pixels),
      Buffer.from('feff00e000000000feff00e000000000feffdde000000000', 'hex'),
    ])
    for (const damaged of [zeroed, emptied])
      expect((await tryAll(damaged))[0], name).toMatch(/decode-failed|truncated|malformed-dicom/)
  }
})

it('gives an error where a frame was cut short before it was stored', { timeout: 120_000 }, async () => {
  for (const name of names.filter(file => /^(j2k|htj2k|jpeg|rle-u?int)/.test(file))) {
    const bytes = files.get(name) ?? Buffer.alloc(0)
    const table = bytes.indexOf(Buffer.from('e07f10004f420000ffffffff', 'hex')) + 12
    const first = table + 8 + bytes.readUInt32LE(table + 4)
    const length = bytes.readUInt32LE(first + 4)
    for (const kept of [0.5, 0.9]) {
      const size = Math.floor((length * kept) / 2) * 2
      const item = Buffer.from('feff00e000000000', 'hex')
      const cut = Buffer.from(item)
      cut.writeUInt32LE(size, 4)
      const end = Buffer.from('feffdde000000000', 'hex')
      const damaged = [bytes.subarray(0, table), item, cut, bytes.subarray(first + 8, first + 8 + size), end]
      expect((await tryAll(Buffer.concat(damaged)))[0], `${name} ${kept}`).toMatch(/decode-failed|truncated/)
    }
  }
})

it('survives any damage within a compressed frame: bits turned, bytes gone, parts of it twice or of another', async () => {
  const compressed = names.filter(name => /^(j2k|htj2k|jpeg|rle|deflated-frames|palette-(rle|jpeg))/.test(name))
  const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  const damage = fc.record({
    kind: fc.constantFrom('bit', 'byte', 'gone', 'twice', 'other', 'zeros'),
    at: place,
    from: place,
    size: fc.integer({ min: 1, max: 64 }),
    byte: fc.integer({ min: 0, max: 255 }),
  })
  const property = fc.asyncProperty(
    fc.constantFrom(...compressed),
    fc.constantFrom(...compressed),
    fc.array(damage, { minLength: 1, maxLength: 4 }),
    async (name, otherName, damages) => {
      const file = Buffer.from(files.get(name) ?? Buffer.alloc(0))
      const other = files.get(otherName) ?? Buffer.alloc(0)
      const { from, to } = lastFragment(file)
      for (const { kind, at, from: source, size, byte } of damages) {
        const start = from + Math.floor(at * (to - from))
        const end = Math.min(to, start + size)
        if (kind === 'bit') file[start] = (file[start] ?? 0) ^ (1 << (byte & 7))
        if (kind === 'byte') file[start] = byte
        if (kind === 'zeros') file.fill(0, start, end)
        if (kind === 'gone') file.copy(file, start, end, to)
        if (kind === 'twice') file.copy(file, start, from + Math.floor(source * (to - from)), to)
        if (kind === 'other')
          other.copy(file, start, Math.floor(source * other.length), Math.floor(source * other.length) + end - start)
      }
      await tryAll(file)
    },
  )
  await fc.assert(property, { seed, numRuns: fuzzRuns })
}, 600_000)

/** Of a file whose pixels end with it: where the bytes of its last frame stand. */
function lastFragment(file: Buffer): { from: number; to: number } {
  const pixels = file.lastIndexOf(Buffer.from('e07f10004f420000ffffffff', 'hex')) + 12
  let fragment = { from: pixels, to: file.length }
  for (let at = pixels; at + 8 <= file.length && file.readUInt32LE(at) === 0xe000fffe; ) {
    const length = file.readUInt32LE(at + 4)
    fragment = { from: at + 8, to: at + 8 + length }
    at += 8 + length
  }
  return fragment
}

it('survives any change of bytes, with a picture of the right size or an error of the table', async () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
  })
  const property = fc.asyncProperty(
    fc.constantFrom(...names),
    fc.array(change, { minLength: 1, maxLength: 8 }),
    async (name, changes) => {
      const bytes = Buffer.from(files.get(name) ?? Buffer.alloc(0))
      for (const { at, byte } of changes) bytes[Math.floor(at * bytes.length)] = byte
      await tryAll(bytes)
    },
  )
  await fc.assert(property, { seed, numRuns: fuzzRuns })
}, 600_000)

it('refuses pixels of another size than the header says, before decoding', async () => {
  for (const name of names.filter(file => /^(j2k|htj2k|jpeg)/.test(file))) {
    const bytes = Buffer.from(files.get(name) ?? Buffer.alloc(0))
    const rows = bytes.indexOf(Buffer.from('2800100055530200', 'hex')) + 8
    bytes.writeUInt16LE(60_000, rows)
    bytes.writeUInt16LE(800, rows + 10)
    await expect(decodeFrame(bytes), name).rejects.toMatchObject({
      code: 'decode-failed',
      message: /the header says 800 x 60000/,
    })
    bytes.writeUInt16LE(60_000, rows + 10)
    await expect(decodeFrame(bytes), name).rejects.toMatchObject({ code: 'too-large' })
  }
})

it('refuses bombs without unpacking them', async () => {
  const bomb = Buffer.from(files.get('grey.png') ?? Buffer.alloc(0))
  bomb.writeUInt32BE(60_000, 16)
  bomb.writeUInt32BE(60_000, 20)
  const before = process.memoryUsage().rss
  await expect(decodeFrame(bomb)).rejects.toBeInstanceOf(RaylogError)
  expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000)
})
