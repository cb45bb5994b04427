/**
 * How long a sender may keep a place. One that says nothing is given up after `windowMs`; one that says a byte now and then
 * would keep it for ever, so what it brings in that time has to be worth the wait. Only time in which we waited for the
 * sender counts: a store that is slow is not its fault.
 */

/** A tenth of the slowest modem; over the default of a minute some 15 kB. */
export const slowestBytesPerSecond = 256

export interface Pace {
  /** @returns false where the sender is too slow to be waited for any longer */
  waited(ms: number, bytes: number): boolean
}

export function createPace(windowMs: number): Pace {
  let ms = 0
  let bytes = 0
  return {
    waited(more, came) {
      ms += more
      bytes += came
      if (ms < windowMs) return true
      const enough = bytes >= (ms / 1_000) * slowestBytesPerSecond
      ms = 0
      bytes = 0
      return enough
    },
  }
}

/**
 * Waits for what comes next of a sender, and gives the sender up when it is too slow.
 * @param read bytes that have come of it so far
 * @param giveUp is to make what is waited for end
 */
export function createPatience(windowMs: number, read: () => number, giveUp: () => void) {
  const pace = createPace(windowMs)
  let seen = read()
  return async <T>(next: () => Promise<T>): Promise<T> => {
    let began = performance.now()
    const look = () => {
      const [now, bytes] = [performance.now(), read()]
      const fastEnough = pace.waited(now - began, bytes - seen)
      began = now
      seen = bytes
      if (!fastEnough) giveUp()
    }
    const timer = setInterval(look, windowMs)
    try {
      return await next()
    } finally {
      clearInterval(timer)
      look()
    }
  }
}

/** The same items, none waited for any longer than `patience` has. */
export async function* patiently<T>(
  items: AsyncGenerator<T, void, undefined>,
  patience: ReturnType<typeof createPatience>,
): AsyncGenerator<T, void, undefined> {
  try {
    for (;;) {
      const { value, done } = await patience(() => items.next())
      if (done) return
      yield value
    }
  } finally {
    await items.return()
  }
}
