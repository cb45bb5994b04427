/**
 * Objects that a worker fetches by itself, by a signed URL: their bytes go from the store's socket into the buffer that is
 * decoded, and through no other process. A fetch begins when its batch arrives, while the one before it runs.
 */
import { RaylogError } from '../../schemas/errors.ts'
import { fromSystem } from '../../storage/outage.ts'
import { createGetter } from './get.ts'

export interface Fetched {
  bytes: Buffer
  /** The buffer may be used for another object from here on, and another one may be fetched. To be called once. */
  release(): void
}

export interface Fetcher {
  /** @throws RaylogError object-missing, store-unavailable */
  fetch(url: string): Promise<Fetched>
  close(): void
}

/** Objects that are on their way or wait to be decoded: of a larger batch the others are asked for as these are let go of. */
const mostAtOnce = 8
/** Buffers that are kept for the next objects: as many as can be under way, but of large ones these. */
const keptBuffers = 4
const keptBytes = 8 * 1024 * 1024
/** Signs of life of the event loop within the time of a fetch: a run of the model stops it, and is not the store's silence. */
const looks = 10
/** A kept connection that the server has just closed is found out by the next request on it. */
const broken = new Set(['ECONNRESET', 'EPIPE'])

interface Waiting {
  left: number
  /** Of the store; else it waits for those that are. */
  asked: boolean
  destroy(error: Error): void
}

/** @param withinMs for one object, not counting the time that runs of the model take meanwhile */
export function createFetcher({ withinMs }: { withinMs: number }): Fetcher {
  const getter = createGetter(bufferOf)
  /** The smallest first. */
  const spare: Buffer[] = []
  const waiting = new Set<Waiting>()
  const line = new Set<() => void>()
  let taken = 0
  let timer: NodeJS.Timeout | undefined

  /** Who waits in line while the store is silent is not kept for a turn of his own: the batch has one budget for all. */
  function look(): void {
    const stuck = [...waiting].filter(({ asked }) => asked).length >= mostAtOnce
    for (const one of waiting) {
      if (!one.asked && !stuck) continue
      one.left -= 1
      if (one.left === 0) one.destroy(new RaylogError('store-unavailable', `no object within ${withinMs} ms`))
    }
  }

  function watch(asked: boolean, destroy: Waiting['destroy']): () => void {
    const one = { left: looks, asked, destroy }
    waiting.add(one)
    timer ??= setInterval(look, withinMs / looks)
    return () => {
      waiting.delete(one)
      if (waiting.size > 0) return
      clearInterval(timer)
      timer = undefined
    }
  }

  /** Resolves in the order of the calls, as the batches are decoded. */
  function enter(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (taken < mostAtOnce) {
      taken += 1
      resolve()
      return promise
    }
    line.add(resolve)
    const over = watch(false, error => {
      line.delete(resolve)
      reject(error)
    })
    return promise.finally(over)
  }

  function leave(): void {
    const [next] = line
    if (next === undefined) {
      taken -= 1
      return
    }
    line.delete(next)
    next()
  }

  function bufferOf(length: number): Buffer {
    const at = spare.findIndex(buffer => buffer.length >= length)
    return (at < 0 ? undefined : spare.splice(at, 1)[0]) ?? Buffer.allocUnsafeSlow(length)
  }

  /** @param bytes of the buffer: its beginning. Small ones go first: they are had again for less. */
  function release({ buffer }: Buffer): void {
    spare.push(Buffer.from(buffer))
    spare.sort((a, b) => a.length - b.length)
    const size = spare.reduce((sum, one) => sum + one.length, 0)
    if (spare.length > mostAtOnce || (spare.length > keptBuffers && size > keptBytes)) spare.shift()
  }

  async function ask(url: string, anew: boolean): Promise<Fetched> {
    const { answer, destroy } = getter.get(url, anew)
    const over = watch(true, destroy)
    try {
      const { status, bytes } = await answer
      if (bytes) return { bytes, release: () => release(bytes) }
      if (status === 404) throw new RaylogError('object-missing', 'the object store has no such object')
      throw new RaylogError('store-unavailable', `the object store answered with HTTP status ${status}`)
    } finally {
      over()
    }
  }

  async function askTwice(url: string): Promise<Fetched> {
    try {
      return await ask(url, false)
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && broken.has(String(thrown.code))) return ask(url, true)
      throw thrown
    }
  }

  return {
    async fetch(url) {
      await enter()
      try {
        const { bytes, release } = await askTwice(url)
        return {
          bytes,
          release() {
            release()
            leave()
          },
        }
      } catch (thrown) {
        leave()
        throw fromSystem(thrown)
      }
    },
    close() {
      getter.close()
    },
  }
}
