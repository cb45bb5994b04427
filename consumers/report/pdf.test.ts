import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aPrediction } from '../../tests/gateway/samples.ts'
import type { ReportContent } from './format.ts'
import { pdfOf } from './pdf.ts'
import { renderPage } from './pdf-page.ts'
import { slots } from './slots.ts'
import { openThreads, type ThreadsOptions } from './threads.ts'

const never = new AbortController().signal
const content = (over: Parameters<typeof aPrediction>[1] = {}): ReportContent => ({
  prediction: aPrediction(1, over),
  image: null,
  preview: { missing: 'gone' },
  patient: null,
  researchUseOnly: true,
  language: 'en',
})

function openPdf(options: ThreadsOptions) {
  const threads = openThreads(options)
  return { render: pdfOf(threads).render, close: () => threads.close() }
}

describe('the PDF threads', () => {
  let folder: string
  let worker: URL
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-worker-'))
    const path = join(folder, 'worker.mjs')
    await writeFile(
      path,
      `export async function predictionPage({ prediction: { label } }) {
        if (label === 'exit') process.exit(3)
        if (label === 'throw') setTimeout(() => { throw new Error('uncaught') }), await new Promise(() => {})
        if (label === 'hang') for (;;) {}
        if (label === 'fill') for (const all = [];;) all.push(new Array(1e6).fill(label + all.length))
        return { bytes: new TextEncoder().encode(label) }
      }`,
    )
    worker = pathToFileURL(path)
  })
  afterAll(() => rm(folder, { recursive: true }))
  const options = { threads: 1, timeoutMs: 60_000, recycleAfter: 1000 }

  it.each(['exit', 'throw', 'fill'])('are replaced when one dies (%s), and the next report is made', async label => {
    const replaced: string[] = []
    const pdf = openPdf({ ...options, worker, replaced: code => replaced.push(code) })
    await expect(pdf.render(content({ label }), never)).rejects.toMatchObject({ code: 'worker-died' })
    expect((await pdf.render(content({ label: 'fine' }), never)).toString()).toBe('fine')
    expect(replaced).toEqual(['worker-died'])
    await pdf.close()
  })

  it('are replaced when one hangs, and those that wait for it do not run out of time meanwhile', async () => {
    const replaced: string[] = []
    const pdf = openPdf({ ...options, worker, timeoutMs: 2_000, replaced: code => replaced.push(code) })
    const outcomes = await Promise.allSettled(
      ['hang', 'hang', 'fine'].map(label => pdf.render(content({ label }), never)),
    )
    expect(outcomes.map(outcome => outcome.status)).toEqual(['rejected', 'rejected', 'fulfilled'])
    expect(replaced).toEqual(['worker-timeout', 'worker-timeout'])
    await pdf.close()
  })

  it('stop at an abort, also while one hangs or a report waits in line', async () => {
    const pdf = openPdf({ ...options, worker })
    const stop = new AbortController()
    const works = ['hang', 'fine'].map(label => pdf.render(content({ label }), stop.signal))
    stop.abort(new Error('stopped'))
    for (const work of works) await expect(work).rejects.toThrow('stopped')
    expect((await pdf.render(content({ label: 'fine' }), never)).toString()).toBe('fine')
    await pdf.close()
  })

  it('are changed for new ones after so many pages, none of which is lost', async () => {
    const pdf = openPdf({ ...options, threads: 2, recycleAfter: 3 })
    const pages = await Promise.all(
      Array.from({ length: 10 }, (_, i) => pdf.render(content({ label: `label ${i}` }), never)),
    )
    for (const page of pages) expect(page.subarray(0, 5).toString()).toBe('%PDF-')
    await pdf.close()
  })
})

describe('the page', () => {
  it('is the same whichever thread, time zone or day draws it', async () => {
    const pdf = openPdf({ threads: 1, timeoutMs: 60_000, recycleAfter: 1000 })
    const there = await pdf.render(content(), never)
    const zone = process.env.TZ
    process.env.TZ = 'Pacific/Auckland'
    const here = await renderPage(content())
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
    expect(here.equals(there)).toBe(true)
    await pdf.close()
  })

  it.each([
    ['a label that no font has', { label: '肺炎 \u{1f4a5}', probabilities: { '肺炎 \u{1f4a5}': 1 } }],
    ['an endless label', { label: 'x'.repeat(5000), probabilities: { ['x'.repeat(5000)]: 1 } }],
    ['no probabilities', { probabilities: {} }],
    [
      'a thousand classes',
      {
        threshold: null,
        probabilities: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`class ${i}`, 0.001])),
      },
    ],
    ['many flags', { quality: Array.from({ length: 50 }, (_, i) => `flag ${i} ${'long '.repeat(40)}`) }],
    ['values that are no numbers', { score: Number.NaN, threshold: Number.NaN, probabilities: { a: Number.NaN } }],
    ['scores out of range', { score: 7, threshold: -2, probabilities: { a: 7 } }],
    [
      'regions out of the image',
      { regions: [{ label: 'a', score: 1, frame: 1, points: [-5, -5, 1e9, 0, 5, Number.NaN] }] },
    ],
  ])('is one page with %s', async (_, over) => {
    const pdf = await renderPage(content(over))
    expect(pdf.toString('latin1').match(/\/Type \/Page\b/g)).toHaveLength(1)
  })
})

describe('slots', () => {
  it('let so many in at once, in the order they came, and forget those that leave the line', async () => {
    const take = slots(1)
    const order: string[] = []
    const first = await take(never)
    const leaves = new AbortController()
    const second = take(leaves.signal)
    const third = take(never).then(slot => {
      order.push('third')
      return slot
    })
    leaves.abort(new Error('left'))
    await expect(second).rejects.toThrow('left')
    expect(order).toEqual([])
    first[Symbol.dispose]()
    const held = await third
    held[Symbol.dispose]()
    using _free = await take(never)
    await expect(take(AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
  })
})
