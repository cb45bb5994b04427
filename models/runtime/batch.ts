/**
 * One batch in a worker: fetch, check, decode and prepare each image, run the model once, read the outputs. An image that
 * fails does so alone; the rest of the batch goes on.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { unreadable } from '../../storage/folder-keys.ts'
import { decodeFrame } from '../imaging/decode.ts'
import { readOutput } from './outputs.ts'
import { type DoneMessage, preciseNow, type Work, type WorkResult, type WorkTimings } from './protocol.ts'
import type { Session } from './sessions.ts'

export async function runBatch(session: Session, items: readonly Work[]): Promise<Omit<DoneMessage, 'type' | 'id'>> {
  const startedAt = preciseNow()
  const results: WorkResult[] = []
  /** Which item each image of the tensor is. */
  const places: { item: number; timings: WorkTimings }[] = []
  for (const [item, work] of items.entries()) {
    try {
      places.push({ item, timings: await prepareOne(session, work, places.length) })
    } catch (thrown) {
      results[item] = failure(thrown)
    }
  }
  const began = preciseNow()
  const outputs = places.length > 0 ? await runTogether(session, places.length) : []
  const ended = preciseNow()
  for (const [at, { item, timings }] of places.entries()) {
    results[item] = read(outputs[at], session, timings)
  }
  return { startedAt, busyMs: preciseNow() - startedAt, inferMs: ended - began, ran: places.length, results }
}

async function prepareOne(session: Session, work: Work, index: number): Promise<WorkTimings> {
  const began = preciseNow()
  const bytes = fetchOne(work)
  const fetched = preciseNow()
  const frame = await decodeFrame(bytes, work.frame)
  const decoded = preciseNow()
  session.preparer.into(frame, session.input, index)
  return { fetchMs: fetched - began, decodeMs: decoded - fetched, prepareMs: preciseNow() - decoded }
}

/** @throws RaylogError object-missing, object-damaged, or a store's error */
function fetchOne({ path, sha256 }: Work): Uint8Array {
  const bytes = readObject(path)
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (digest !== sha256) throw new RaylogError('object-damaged', `SHA-256 is ${digest}, not ${sha256}`)
  return bytes
}

/** Synchronous: this thread has nothing else to do, and a local file is a few system calls. */
function readObject(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

type Ran = ArrayLike<number> | RaylogError

/** Runs all images at once; if the model fails on them, one by one, so that only those at fault fail. */
async function runTogether(session: Session, images: number): Promise<Ran[]> {
  try {
    return await session.run(images)
  } catch (thrown) {
    if (images === 1) return [inferFailed(thrown)]
    const elements = session.preparer.elements
    const copy = session.input.slice(0, images * elements)
    const ran: Ran[] = []
    for (let image = 0; image < images; image += 1) {
      session.input.set(copy.subarray(image * elements, (image + 1) * elements), 0)
      ran.push(...(await runTogether(session, 1)))
    }
    return ran
  }
}

function read(output: Ran | undefined, session: Session, timings: WorkTimings): WorkResult {
  if (output instanceof RaylogError) return failure(output)
  try {
    return { ok: true, answer: readOutput(output ?? [], session.manifest.output), timings }
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
