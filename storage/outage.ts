/** What a server that is away looks like from here: late, or an error of the system. */
import type { Clock } from '../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'

/** Given as the reason: without one a DOMException is made each time, with its stack. */
const over = 'over'

/**
 * The outcome of `work`, or store-unavailable after `ms`: a server that is frozen keeps its connections and says nothing.
 * The work itself goes on until its own timeouts end it; what it wrote meanwhile may be there.
 */
export async function within<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  const settled = new AbortController()
  const late = clock.sleep(ms, settled.signal).then(() => {
    throw new RaylogError('store-unavailable', `${what} did not answer within ${Math.round(ms)} ms`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    settled.abort(over)
  }
}

/** Whatever the system, HTTP or TLS says of the network is an outage; a wrong argument is a fault of ours. */
export function fromSystem(thrown: unknown): RaylogError {
  const error = toRaylogError(thrown)
  const coded = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
  if (error.code !== 'internal' || !coded || thrown instanceof TypeError || thrown instanceof RangeError) return error
  return new RaylogError('store-unavailable', error.message, { cause: thrown })
}
