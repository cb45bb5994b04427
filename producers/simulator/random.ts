/** Chance from a seed: the same seed gives the same image. */

/** Mulberry32 (T. Ettinger, public domain): 32 bits of state, enough for pictures. @returns 0 <= x < 1 */
export function seeded(seed: number): () => number {
  // Seeds beyond 32 bits count in full.
  let state = (seed ^ Math.floor(seed / 2 ** 32) ^ 0x9e3779b9) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A number from `low` to `high`. */
export const between = (random: () => number, low: number, high: number) => low + (high - low) * random()
