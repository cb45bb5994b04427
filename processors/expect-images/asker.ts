/**
 * When to ask: whenever nothing has come to a study for a while, and as soon as it begins where the archive has had all of it for
 * long. While a study is still being made, or passed on as it comes, an archive has about as many images as have come here, and
 * to believe it then would be to call the study complete. Held in memory alone: a study that is not asked about after a crash is
 * complete by its idle time, as if there were no archive.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { Peer } from '../../schemas/peers.ts'

export interface Question {
  /** Id of the study, and its Study Instance UID. */
  study: string
  uid: string
  archive: Peer
}

export interface AskerOptions {
  clock: Clock
  logger: Logger
  quietMs: number
  atOnce: number
  maxStudies: number
  /** Undefined where the archive has no such study. @throws RaylogError */
  ask(question: Question, signal: AbortSignal): Promise<number | undefined>
  /** @throws RaylogError where the log is away */
  tell(question: Question, images: number): Promise<void>
}

export interface Asker {
  /** An image of the study came. @param whole the archive had the whole study before */
  saw(question: Question, whole: boolean): void
  /** Asks nothing any more. */
  stop(): void
  /** Resolves when nothing is asked any more. */
  close(): Promise<void>
}

interface Known {
  question: Question
  seenAt: number
  /** Nothing is to be asked before another image comes. */
  rested: boolean
  told: number | undefined
}

export function createAsker({ clock, logger, quietMs, atOnce, maxStudies, ask, tell }: AskerOptions): Asker {
  const studies = new Map<string, Known>()
  const queue: Known[] = []
  const stopping = new AbortController()
  const working = new Set<Promise<void>>()

  function put(known: Known): void {
    queue.push(known)
    if (working.size >= atOnce) return
    const worker = work().finally(() => working.delete(worker))
    working.add(worker)
  }

  async function work(): Promise<void> {
    for (let known = queue.shift(); known && !stopping.signal.aborted; known = queue.shift()) {
      try {
        const images = await ask(known.question, stopping.signal)
        if (images === undefined || images < 1 || images === known.told) continue
        await tell(known.question, images)
        known.told = images
      } catch (thrown) {
        const { code, message: reason } = toRaylogError(thrown)
        const { study, archive } = known.question
        // Without an answer the study is complete by its idle time.
        if (!stopping.signal.aborted) logger.warn({ study, peer: archive.name, code, reason }, 'no count of images')
      }
    }
  }

  async function watch(): Promise<void> {
    const { signal } = stopping
    while (!signal.aborted) {
      const now = clock.now()
      for (const known of studies.values()) {
        if (known.rested || now - known.seenAt < quietMs) continue
        known.rested = true
        put(known)
      }
      await clock.sleep(Math.max(10, quietMs / 8), signal).catch(() => undefined)
    }
  }
  const watching = watch()

  const stop = () => stopping.abort(new Error('stopping'))
  return {
    saw(question, whole) {
      const known = studies.get(question.study)
      studies.delete(question.study) // the one that came last is forgotten last
      const next = known ?? { question, seenAt: 0, rested: false, told: undefined }
      Object.assign(next, { seenAt: clock.now(), rested: false })
      studies.set(question.study, next)
      const [oldest] = studies.keys()
      if (studies.size > maxStudies && oldest !== undefined) studies.delete(oldest)
      if (!known && whole) put(next)
    },
    stop,
    async close() {
      stop()
      await watching
      await Promise.all(working)
    },
  }
}
