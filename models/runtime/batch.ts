/**
 * One load in a worker: fetch, check, decode and prepare each image, run the model once a batch, read the outputs. An image that
 * fails does so alone; the rest goes on.
 */
import { hash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { unreadable } from '../../storage/folder-keys.ts'
import { decodeFrame } from '../imaging/decode.ts'
import { createScratch } from '../imaging/memory.ts'
import { shownOf } from '../marks/picture.ts'
import type { Fetched } from './fetch.ts'
import { isMarking, readMarks, type Seen } from './marks.ts'
import { readOutput } from './outputs.ts'
import {
  type DoneMessage,
  preciseNow,
  type Run,
  type Source,
  type Work,
  type WorkResult,
  type WorkTimings,
} from './protocol.ts'
import type { Given, Session } from './sessions.ts'

/** Images are prepared one after another, and of none more is left than its tensor. */
const scratch = createScratch()

type Coming = readonly (Promise<Fetched> | undefined)[]

/** An image in its place of the input. */
interface Prepared {
  /** Which of the load. */
  item: number
  timings: WorkTimings
  seen: Seen
}

/** @param fetched for each item that is fetched: its bytes, when they are there */
export async function runLoad(
  session: Session,
  items: readonly Work[],
  fetched: Coming,
): Promise<Omit<DoneMessage, 'type' | 'id'>> {
  const startedAt = preciseNow()
  const runs: Run[] = []
  const results: WorkResult[] = []
  for (let next = 0; next < items.length; ) {
    const prepared: Prepared[] = []
    for (; next < items.length && prepared.length < session.places; next += 1) {
      const work = items[next]
      if (!work) break
      try {
        prepared.push({ item: next, ...(await prepareOne(session, work, fetched[next], prepared.length)) })
      } catch (thrown) {
        results[next] = failure(thrown)
      }
    }
    const outputs: Ran[] = []
    const first = runs.length
    const { max } = session.manifest.batch
    for (let from = 0; from < prepared.length; from += max) {
      const began = preciseNow()
      const images = Math.min(max, prepared.length - from)
      outputs.push(...(await runTogether(session, from, images)))
      runs.push({ startedAt: began, inferMs: preciseNow() - began, images })
    }
    for (const [at, one] of prepared.entries()) {
      const given = outputs[at]
      const result = read(given, session, one, first + Math.floor(at / max))
      results[one.item] = isMarking(session.manifest) ? await marked(result, given, session, one.seen) : result
    }
  }
  return { startedAt, busyMs: preciseNow() - startedAt, runs, results }
}

async function prepareOne(
  session: Session,
  work: Work,
  coming: Promise<Fetched> | undefined,
  index: number,
): Promise<Omit<Prepared, 'item'>> {
  const began = preciseNow()
  const fetched = await coming
  try {
    const bytes = fetched?.bytes ?? ('path' in work.from ? readObject(work.from) : Buffer.alloc(0))
    check(bytes, work)
    const there = preciseNow()
    scratch.reset()
    const frame = await decodeFrame(bytes, work.frame, scratch.take)
    const decoded = preciseNow()
    const place = session.preparer.into(frame, session.input, index, scratch.take)
    const shown = work.explain && session.manifest.explanation ? shownOf(frame) : undefined
    const timings = { fetchMs: there - began, decodeMs: decoded - there, prepareMs: preciseNow() - decoded }
    return { timings, seen: { place, frame: work.frame, shown } }
  } finally {
    // What was decoded may be a view of it; by now the tensor has it.
    fetched?.release()
  }
}

/** @throws RaylogError object-damaged */
function check(bytes: Uint8Array, { sha256 }: Work): void {
  const digest = hash('sha256', bytes)
  if (digest !== sha256) throw new RaylogError('object-damaged', `SHA-256 is ${digest}, not ${sha256}`)
}

/** Synchronous: this thread has nothing else to do, and a local file is a few system calls. */
function readObject({ path, part }: Extract<Source, { path: string }>): Uint8Array {
  try {
    return part ? readPart(path, part) : readFileSync(path)
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** Less where the file ends before it: its digest says so. */
function readPart(path: string, { start, bytes }: { start: number; bytes: number }): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  const file = openSync(path, 'r')
  try {
    let have = 0
    for (let read = -1; have < bytes && read !== 0; have += read)
      read = readSync(file, buffer, have, bytes - have, start + have)
    return buffer.subarray(0, have)
  } finally {
    closeSync(file)
  }
}

type Ran = Given | RaylogError

/** Runs a batch; if the model fails on it, its images one by one, so that only those at fault fail. */
async function runTogether(session: Session, from: number, images: number): Promise<Ran[]> {
  try {
    return await session.run(from, images)
  } catch (thrown) {
    if (images === 1) return [inferFailed(thrown)]
    const { elements } = session.preparer
    const copy = session.input.slice(from * elements, (from + images) * elements)
    const ran: Ran[] = []
    for (let image = 0; image < images; image += 1) {
      session.input.set(copy.subarray(image * elements, (image + 1) * elements), from * elements)
      ran.push(...(await runTogether(session, from, 1)))
    }
    return ran
  }
}

function read(output: Ran | undefined, session: Session, { timings }: Prepared, run: number): WorkResult {
  if (output instanceof RaylogError) return failure(output)
  try {
    return { ok: true, answer: readOutput(output?.scores ?? [], session.manifest.output), timings, run }
  } catch (thrown) {
    return failure(thrown)
  }
}

/** An answer with what the model marked. */
async function marked(
  result: WorkResult,
  given: Ran | undefined,
  { manifest }: Session,
  seen: Seen,
): Promise<WorkResult> {
  if (!result.ok || !given || given instanceof RaylogError) return result
  try {
    return { ...result, ...(await readMarks(result.answer, given, manifest, seen)) }
  } catch (thrown) {
    return failure(thrown)
  }
}

function inferFailed(thrown: unknown): RaylogError {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new RaylogError('infer-failed', message, { cause: thrown })
}

function failure(thrown: unknown): WorkResult {
  const { code, message } = toRaylogError(thrown)
  return { ok: false, code, message }
}
