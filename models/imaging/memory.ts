/** Where the pixels of a picture on its way are put: memory of its own, or memory that the next picture uses again. */

/** @returns so many bytes, all of which the caller writes: what stood there before may still stand there */
export type Take = (bytes: number) => Uint8Array

export const fresh: Take = bytes => new Uint8Array(bytes)

/** A larger one is rare, and would be kept for good. */
const largestKept = 8 * 1024 * 1024

/**
 * Memory for one picture at a time. A slice needs four blocks of some 100 KB; made anew for each, they are garbage that stays
 * until the collector comes, and made it come for nothing else.
 */
export function createScratch(): { take: Take; reset(): void } {
  const kept: Uint8Array[] = []
  let next = 0
  return {
    take(bytes) {
      if (bytes > largestKept) return fresh(bytes)
      const at = next++
      const known = kept[at]
      const block = known && known.length >= bytes ? known : fresh(bytes)
      kept[at] = block
      return block.subarray(0, bytes)
    },
    /** Nothing of the picture before is looked at any more. */
    reset() {
      next = 0
    },
  }
}
