/** So many at once; whoever comes on top waits a while for a place, and is then told to come back later. */
import { RaylogError } from '../schemas/errors.ts'

export interface Gate {
  /** Resolves with a function that gives the place back. @throws RaylogError busy when none is free within `waitMs` */
  enter(waitMs: number, signal?: AbortSignal): Promise<() => void>
  readonly inside: number
  /** Resolves when nobody is inside. */
  empty(): Promise<void>
}

/** @param doing what those do who are in, for the message of who must come later */
export function createGate(limit: number, doing = 'images are being received'): Gate {
  const waiting: (() => void)[] = []
  const emptied: (() => void)[] = []
  let inside = 0

  function leave(): void {
    // The place goes straight to the next in the queue, so nobody who comes now can slip in between.
    const next = waiting.shift()
    if (next) next()
    else inside--
    if (inside === 0) for (const resolve of emptied.splice(0)) resolve()
  }

  function once(): () => void {
    let left = false
    return () => {
      if (left) return
      left = true
      leave()
    }
  }

  function queue(waitMs: number, signal?: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const forget = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
      }
      const admitted = () => {
        forget()
        resolve(once())
      }
      const refuse = (error: unknown) => {
        forget()
        waiting.splice(waiting.indexOf(admitted), 1)
        reject(error)
      }
      const aborted = () => refuse(signal?.reason)
      const timer = setTimeout(() => refuse(new RaylogError('busy', `${limit} ${doing} already`)), waitMs)
      signal?.addEventListener('abort', aborted, { once: true })
      waiting.push(admitted)
    })
  }

  return {
    get inside() {
      return inside
    },
    enter(waitMs, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason)
      if (inside < limit) {
        inside++
        return Promise.resolve(once())
      }
      return queue(waitMs, signal)
    },
    empty() {
      return inside === 0 ? Promise.resolve() : new Promise(resolve => emptied.push(resolve))
    },
  }
}

/** A gate of which no one has all places: who is slow to leave holds up others of his own, and not everybody. */
export interface FairGate {
  enter(who: string, waitMs: number, signal?: AbortSignal): ReturnType<Gate['enter']>
  readonly inside: number
}

/** @param each places of one of them */
export function createFairGate(limit: number, each: number, doing?: string): FairGate {
  const all = createGate(limit, doing)
  const own = new Map<string, Gate>()
  return {
    get inside() {
      return all.inside
    },
    async enter(who, waitMs, signal) {
      const theirs = own.get(who) ?? createGate(each, doing)
      own.set(who, theirs)
      let leaveTheirs: (() => void) | undefined
      const leave = () => {
        leaveTheirs?.()
        // Who leaves a second time must not forget those that came meanwhile.
        if (theirs.inside === 0 && own.get(who) === theirs) own.delete(who)
      }
      try {
        leaveTheirs = await theirs.enter(waitMs, signal)
        const leaveAll = await all.enter(waitMs, signal)
        return () => {
          leaveAll()
          leave()
        }
      } catch (thrown) {
        leave()
        throw thrown
      }
    },
  }
}
