import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pageBytes } from '../direct.ts'
import { largestArrival } from './batches.ts'
import { createFiling, type Filing, type ToFile } from './filing.ts'

let folder: string
let filing: Filing
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-filing-'))
  await mkdir(join(folder, 'incoming'))
  filing = createFiling()
})
afterEach(async () => {
  await filing.close()
  await rm(folder, { recursive: true, force: true })
})

const segment = () => join(folder, 'segment')

/** Lays them into the segment, each at a page. */
async function lay(contents: readonly Buffer[]): Promise<ToFile[]> {
  const file = await open(segment(), 'w')
  let at = 0
  const records: ToFile[] = []
  for (const [n, bytes] of contents.entries()) {
    await file.write(bytes, 0, bytes.length, at)
    const where = { incoming: join(folder, 'incoming', `${n}`), path: join(folder, `object-${n}`) }
    records.push({ sha256: '', segment: segment(), at, bytes: bytes.length, ...where })
    at += Math.ceil(bytes.length / pageBytes) * pageBytes
  }
  await file.truncate(at)
  await file.close()
  return records
}

describe('the files of what stands in segments', () => {
  it('have just their bytes, whatever their sizes, and nobody else may read them', async () => {
    const sizes = [1, 4_095, 4_096, 4_097, 10_000, 528_902, largestArrival - 1, largestArrival]
    const contents = sizes.map(size => randomBytes(size))
    const records = await lay(contents)
    expect(await filing.make(records)).toEqual(sizes.map(() => undefined))
    for (const [n, { path }] of records.entries()) {
      expect((await readFile(path)).equals(contents[n] ?? Buffer.alloc(0))).toBe(true)
      expect((await stat(path)).mode & 0o777).toBe(0o600)
    }
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
  })

  it('are made though others cannot be, which leave nothing', async () => {
    const records = await lay(Array.from({ length: 4 }, () => randomBytes(5_000)))
    const [one, two, three, four] = records.map(record => ({ ...record }))
    if (!one || !two || !three || !four) throw new Error('four were laid')
    two.path = join(folder, 'away', 'object')
    three.segment = join(folder, 'no-segment')
    four.at = 1024 * 1024
    const outcomes = await filing.make([one, two, three, four])
    expect(outcomes.map(outcome => outcome?.code)).toEqual([
      undefined,
      'store-unavailable',
      'store-unavailable',
      expect.any(String),
    ])
    expect((await readdir(folder)).sort()).toEqual(['incoming', 'object-0', 'segment'])
    expect(await readdir(join(folder, 'incoming'))).toEqual([])
  })

  it('are made by another thread when one has ended, and what it had in hand is said to have failed', async () => {
    const records = await lay(Array.from({ length: 200 }, () => randomBytes(50_000)))
    const cut = filing.make(records)
    await filing.close()
    const outcomes = await cut
    expect(new Set(outcomes.map(outcome => outcome?.code))).toEqual(new Set(['store-unavailable']))
    await rm(join(folder, 'incoming'), { recursive: true })
    await mkdir(join(folder, 'incoming'))
    expect((await filing.make(records)).filter(outcome => outcome !== undefined)).toEqual([])
  })
})
