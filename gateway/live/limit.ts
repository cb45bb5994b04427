/** At most `most` at once; the others wait their turn. */
export function createLimit(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  return async work => {
    if (running >= most) await new Promise<void>(resolve => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      // The place goes straight to the next one, so that nobody comes in between.
      const wake = waiting.shift()
      if (wake) wake()
      else running--
    }
  }
}
