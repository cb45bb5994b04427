/** What the arrivals are asked, and what they need. */
import type { RaylogError } from '../../schemas/errors.ts'
import type { Lent } from '../objects.ts'
import type { Standing } from './filing.ts'

/**
 * Takes notes on objects, in their order. Resolves when all are durable where they go.
 * @param again they may be there already, of a process that was killed: those are left out
 */
export type Deliver = (notes: readonly Uint8Array[], again: boolean) => Promise<void>

export interface ArrivalsOptions {
  folder: string
  /** Where notes go. Without it none is taken. */
  deliver?: Deliver | undefined
  /** Makes files, durable. Of each, in their order: undefined, or why it has none. */
  file(standing: readonly Standing[]): Promise<(RaylogError | undefined)[]>
  /** One segment, bytes. Default 64 MiB. */
  segmentBytes?: number
  /** Segments at most. Default 16. */
  maxSegments?: number
  /** Files are made when nothing has come for so long, ms. Default 500. */
  idleMs?: number
}

export interface Arrivals {
  /** Why notes are refused at the moment; they wait here, and are tried again. */
  readonly refused: RaylogError | undefined
  /**
   * True when it is durable here; false where there is no room: then it needs a file at once. Where a note on it waits, after
   * that is delivered or refused.
   */
  put(bytes: Uint8Array, sha256: string): Promise<boolean>
  /**
   * The object and a note on it in one write: true when both are durable here, and the note will be delivered. False where it
   * is here already, or there is no room, or notes are refused at the moment.
   * @param write makes the note, where it looks as if there were room for it
   */
  putNoted(bytes: Uint8Array, sha256: string, write: () => Promise<Uint8Array>): Promise<boolean>
  /** The bytes from `start` on, `length` at most; undefined where it is not here. */
  read(sha256: string, start?: number, length?: number): Promise<Buffer | undefined>
  stat(sha256: string): { bytes: number; modifiedAt: number } | undefined
  /** Where it stands, to be read there until it is released; undefined where it is not here. */
  lend(sha256: string): Lent | undefined
  /** Digests of what is here. */
  keys(): string[]
  /** Makes the file of one object, or of all; resolves when they have it. @throws store-full, store-unavailable */
  settle(sha256?: string): Promise<void>
  /** Whether it was here. Its bytes are not on the disk any more when it resolves. @throws why its note is refused, where it waits */
  erase(sha256: string): Promise<boolean>
  /** Makes the files of all and delivers their notes, where that can be done; what is left is taken up at the next open. */
  close(): Promise<void>
}
