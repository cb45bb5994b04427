/** A file that came in: an image, or a ZIP of images. What became of each is told one by one. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type RaylogError, toRaylogError } from '../schemas/errors.ts'
import { chunksOfFile, inParallel, peek } from './bytes.ts'
import type { Hints, Intake, Received } from './intake.ts'
import { isZip, label, openZip, spool } from './zip.ts'

export type Outcome = { file: string; received: Received } | { file: string; error: RaylogError }

export const zipConfig = z
  .strictObject({
    maxEntries: z.int().min(1).default(10_000),
    maxTotalBytes: z
      .int()
      .min(1)
      .default(16 * 1024 ** 3)
      .describe('all entries unpacked, bytes'),
    maxRatio: z.number().min(1).default(200).describe('unpacked bytes for each packed one'),
    concurrency: z.int().min(1).max(64).default(4).describe('entries of one archive received at once'),
  })
  .prefault({})

export interface FileRules {
  zip: z.infer<typeof zipConfig>
  /** One image, or one archive, bytes. */
  maxBytes: number
  /** Where an archive that comes as a stream is put meanwhile; made where it is missing. */
  folder: string
  signal: AbortSignal
}

async function receiveOne(
  intake: Intake,
  name: string,
  bytes: AsyncIterable<Buffer>,
  hints: Hints,
  signal: AbortSignal,
) {
  try {
    return { file: name, received: await intake.receive(bytes, hints, signal) }
  } catch (thrown) {
    return { file: name, error: toRaylogError(thrown) }
  }
}

async function* receiveZip(intake: Intake, name: string, path: string | Buffer, hints: Hints, rules: FileRules) {
  const { zip: settings, maxBytes, signal } = rules
  try {
    const zip = await openZip(path, { ...settings, maxEntryBytes: maxBytes })
    try {
      yield* inParallel(zip.entries, settings.concurrency, entry =>
        receiveOne(intake, label(`${name}/${entry.name}`), entry.bytes, hints, signal),
      )
    } finally {
      zip.close()
    }
  } catch (thrown) {
    yield { file: name, error: toRaylogError(thrown) }
  }
}

/**
 * Receives what a stream holds. Never throws: failures are outcomes.
 * @param name the sender's own, told back to it
 */
export async function* receiveStream(
  intake: Intake,
  name: string,
  chunks: AsyncGenerator<Buffer, void, undefined>,
  hints: Hints,
  rules: FileRules,
): AsyncGenerator<Outcome, void, undefined> {
  const file = label(name)
  const path = join(rules.folder, `${randomUUID()}.zip`)
  try {
    const { head, bytes } = await peek(chunks, 4)
    if (!isZip(head)) {
      yield await receiveOne(intake, file, bytes, hints, rules.signal)
      return
    }
    await mkdir(rules.folder, { recursive: true, mode: 0o700 })
    await spool(bytes, path, rules.maxBytes)
    yield* receiveZip(intake, file, path, hints, rules)
  } catch (thrown) {
    yield { file, error: toRaylogError(thrown) }
  } finally {
    await rm(path, { force: true })
  }
}

/** The same for a file on this machine. */
export async function* receiveLocal(
  intake: Intake,
  path: string | Buffer,
  name: string,
  hints: Hints,
  rules: FileRules,
): AsyncGenerator<Outcome, void, undefined> {
  const chunks = chunksOfFile(path)
  try {
    const { head, bytes } = await peek(chunks, 4)
    if (!isZip(head)) {
      yield await receiveOne(intake, name, bytes, hints, rules.signal)
      return
    }
    await chunks.return()
    yield* receiveZip(intake, name, path, hints, rules)
  } catch (thrown) {
    yield { file: name, error: toRaylogError(thrown) }
  } finally {
    // Also where nobody read it: there was no place for it, or it is an archive.
    await chunks.return()
  }
}
