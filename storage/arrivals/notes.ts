/**
 * Notes on objects that just came: each stands beside its object in the segment, is delivered right behind the sender's answer,
 * in order, and holds its segment until that has been done.
 *
 *   durable ─▶ the sender is answered ─▶ delivered, with those that came meanwhile ─▶ the segment may have another use
 *                                            └─ refused: again after a while, and no new ones are taken until then
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { Deliver } from './port.ts'

export interface Note {
  /** Of its object. */
  sha256: string
  bytes: Uint8Array
  /** Called once. */
  delivered(): void
}

export interface Notes {
  /** Whether another is taken: not while they are refused, nor when too many wait. */
  readonly open: boolean
  /** Why they are refused at the moment. */
  readonly refused: RaylogError | undefined
  /** How many are not delivered yet. */
  readonly waiting: number
  add(note: Note): void
  /** Those of one object; resolves when some more are delivered, undefined where none of it waits. @throws why they are refused */
  of(sha256: string): Promise<void> | undefined
  /** Resolves when none of one object waits, or they are refused. */
  told(sha256: string): Promise<void>
  /** Tries once more what waits. */
  close(): Promise<void>
}

/** Delivered at once. */
const most = 256
/** Beyond this many that wait, those who come are answered when their event is on the log. */
const mostWaiting = 1_024
/**
 * Where so many came in so little time, the next ones gather for a while: to deliver ten costs hardly more than one, and takes
 * the processor from those who come.
 */
const dense = { notes: 8, withinMs: 100, gatherMs: 20 }
const retry = { firstMs: 50, mostMs: 5_000 }

function nextTurn(): PromiseWithResolvers<void> {
  const turn = Promise.withResolvers<void>()
  turn.promise.catch(() => undefined) // those who wait for it hear of it
  return turn
}

/** @param inherited of a process that ended: some may have been delivered by it */
export function createNotes(deliver: Deliver, inherited: readonly Note[]): Notes {
  const waiting: Note[] = [...inherited]
  /** So many of the first may be delivered already. */
  let unsure = inherited.length
  let failure: RaylogError | undefined
  let turn = nextTurn()
  /** When the last ones came. */
  const came: number[] = []
  let running: Promise<void> | undefined
  const closing = new AbortController()

  async function deliverSome(): Promise<void> {
    const some = waiting.slice(0, most)
    const bytes = some.map(note => note.bytes)
    failure = await deliver(bytes, unsure > 0).then(() => undefined, toRaylogError)
    // What was refused may have been done, and not said.
    unsure = failure ? Math.max(unsure, some.length) : Math.max(0, unsure - some.length)
    if (!failure) for (const { delivered } of waiting.splice(0, some.length)) delivered()
    const { resolve, reject } = turn
    turn = nextTurn()
    if (failure) reject(failure)
    else resolve()
  }

  async function run(): Promise<void> {
    await new Promise(setImmediate) // the sender is answered first
    for (let failures = 0; waiting.length > 0; ) {
      await deliverSome()
      if (failure && closing.signal.aborted) return
      failures = failure ? failures + 1 : 0
      const afterMs = failure ? Math.min(retry.mostMs, retry.firstMs * 2 ** Math.min(failures - 1, 30)) : gatherMs()
      if (afterMs === 0) continue
      await sleep(afterMs, undefined, { signal: closing.signal, ref: false }).catch(() => undefined) // closing: now
    }
  }

  function gatherMs(): number {
    const since = came.length < dense.notes ? undefined : came[0]
    return since !== undefined && performance.now() - since < dense.withinMs ? dense.gatherMs : 0
  }

  function start(): void {
    if (waiting.length === 0) return
    running ??= run().finally(() => {
      running = undefined
      if (!closing.signal.aborted) start()
    })
  }

  function add(note: Note): void {
    waiting.push(note)
    came.push(performance.now())
    if (came.length > dense.notes) came.shift()
    start()
  }

  const waits = (sha256: string) => waiting.some(note => note.sha256 === sha256)

  start()
  return {
    get open() {
      return failure === undefined && waiting.length < mostWaiting
    },
    get refused() {
      return failure
    },
    get waiting() {
      return waiting.length
    },
    add,
    of(sha256) {
      if (!waits(sha256)) return undefined
      return failure ? Promise.reject(failure) : turn.promise
    },
    async told(sha256) {
      while (!failure && waits(sha256)) await Promise.allSettled([turn.promise])
    },
    async close() {
      closing.abort()
      await running
    },
  }
}
