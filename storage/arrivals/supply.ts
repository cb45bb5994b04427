/** The segments that nothing stands in: made ahead of their use, as the disk has room for them. */
import { randomUUID } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { alignedMemory, canSync } from '../direct.ts'
import { makeSegment, type Segment } from './segment.ts'

export interface Supply {
  readonly free: number
  take(): Segment | undefined
  give(segment: Segment): void
  /** Makes one ahead of its use: until it is there, objects get their files at once. */
  prepare(): void
  close(): Promise<void>
}

/** Segments may take an eighth of the room that is left on the disk. */
const shareOfRoom = 8
/** After a segment could not be made, none is tried for so long, ms. */
const againAfterMs = 10_000

/**
 * @param wanted whether there may be another one
 * @param made told of each
 */
export function createSupply(
  { folder, segmentBytes }: { folder: string; segmentBytes: number },
  wanted: () => boolean,
  made: (segment: Segment) => void,
): Supply {
  const free: Segment[] = []
  const self = randomUUID()
  let count = 0
  let making: Promise<void> | undefined
  let notBefore = 0
  let closed = false
  let zeros: Buffer | undefined

  function prepare(): void {
    if (making || closed || !canSync || !wanted() || Date.now() < notBefore) return
    making = make()
      .catch(() => {
        notBefore = Date.now() + againAfterMs // full, or away: the files' own writes say so
      })
      .finally(() => {
        making = undefined
        if (free.length < 2) prepare()
      })
  }

  async function make(): Promise<void> {
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize < segmentBytes * shareOfRoom) {
      notBefore = Date.now() + againAfterMs
      return
    }
    zeros ??= alignedMemory(1024 * 1024)
    const segment = await makeSegment(join(folder, `${self}-${++count}`), segmentBytes, zeros)
    made(segment)
    free.push(segment)
  }

  return {
    get free() {
      return free.length
    },
    take() {
      const segment = free.shift()
      if (free.length === 0) prepare()
      return segment
    },
    give: segment => void free.push(segment),
    prepare,
    async close() {
      closed = true
      await making
    },
  }
}
