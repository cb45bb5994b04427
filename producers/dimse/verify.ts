/** Whether instances are kept for good: known, their object there, and with the digest that it was stored under. */
import { createHash } from 'node:crypto'
import type { Clock } from '../../monitoring/clock.ts'
import type { DicomInstanceDoc } from '../../schemas/dicom-index.ts'
import type { CommitmentDoc } from '../../schemas/documents.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { DicomIndex } from '../../storage/dicom-query.ts'
import type { ObjectStore } from '../../storage/objects.ts'
import { chunksOf } from '../bytes.ts'

type Item = CommitmentDoc['items'][number]

/** Failure Reason (0008,1197) of PS3.3 C.14.1.1. */
export const failureReason = { processing: 0x0110, noSuchObject: 0x0112, classConflict: 0x0119 } as const

export interface Checked {
  kept: Item[]
  failed: (Item & { reason: number })[]
}

/** @throws what the stores throw while they are away: that is no answer about an instance */
export type Verify = (items: readonly Item[], signal: AbortSignal) => Promise<Checked>

export interface VerifyOptions {
  index: DicomIndex
  objects: Pick<ObjectStore, 'stream'>
  clock: Clock
  /** An image that was acknowledged this moment is waited for, until it is in the index, ms. */
  settleMs: number
}

/** UIDs asked of the index at once. */
const batchSize = 32
/** Between two looks for what is not in the index yet, ms. */
const lookMs = 250

export function createVerify({ index, objects, clock, settleMs }: VerifyOptions): Verify {
  async function knownOf(items: readonly Item[], signal: AbortSignal): Promise<Map<string, DicomInstanceDoc>> {
    const known = new Map<string, DicomInstanceDoc>()
    for (let at = 0; at < items.length; at += batchSize) {
      const uids = items.slice(at, at + batchSize).map(item => item.sopInstance)
      const query = { level: 'IMAGE' as const, keys: { SOPInstanceUID: uids.join('\\') }, signal }
      for await (const { instance } of index.find(query)) if (instance) known.set(instance.uid, instance)
    }
    return known
  }

  /** Waits for those that are on the log and not in the index yet. */
  async function settled(items: readonly Item[], signal: AbortSignal): Promise<Map<string, DicomInstanceDoc>> {
    const until = clock.now() + settleMs
    const known = await knownOf(items, signal)
    for (;;) {
      const missing = items.filter(item => !known.has(item.sopInstance))
      if (missing.length === 0 || clock.now() >= until) return known
      await clock.sleep(lookMs, signal)
      for (const [uid, instance] of await knownOf(missing, signal)) known.set(uid, instance)
    }
  }

  async function failureOf(item: Item, known: DicomInstanceDoc | undefined): Promise<number | undefined> {
    if (!known) return failureReason.noSuchObject
    if (known.values['00080016']?.[0] !== item.sopClass) return failureReason.classConflict
    try {
      const hash = createHash('sha256')
      for await (const chunk of chunksOf(await objects.stream(known.object.key))) hash.update(chunk)
      return hash.digest('hex') === known.object.sha256 ? undefined : failureReason.processing
    } catch (thrown) {
      const error = toRaylogError(thrown)
      if (error.code === 'object-missing') return failureReason.noSuchObject
      if (error.code === 'object-damaged') return failureReason.processing
      throw error
    }
  }

  return async (items, signal) => {
    const known = await settled(items, signal)
    const checked: Checked = { kept: [], failed: [] }
    for (const item of items) {
      signal.throwIfAborted()
      const reason = await failureOf(item, known.get(item.sopInstance))
      if (reason === undefined) checked.kept.push(item)
      else checked.failed.push({ ...item, reason })
    }
    return checked
  }
}
