/** Commits of one member in one generation: one request at a time, with all that was asked for meanwhile. */
import type { Clock } from '../../monitoring/clock.ts'
import type { Position } from '../log.ts'
import { patiently, toLogError } from './faults.ts'
import { nameOf } from './reader.ts'

export interface Commits {
  /** Resolves when durable, or when the partitions are no longer this member's. @throws RaylogError log-unavailable */
  commit(next: readonly Position[]): Promise<void>
  /** Resolves when nothing is under way. */
  settled(): Promise<void>
}

interface Round {
  next: Map<string, Position>
  done: PromiseWithResolvers<void>
}

const patienceMs = 15_000

export function createCommits(options: {
  /** @returns false when another has the partitions by now */
  send(next: readonly Position[]): Promise<boolean>
  /** Said once it is known that another has them. */
  lost(): void
  signal: AbortSignal
  clock: Clock
}): Commits {
  const { send, lost, signal, clock } = options
  let gathering: Round | undefined
  let sending: Promise<void> = Promise.resolve()

  async function sendRound({ next, done }: Round): Promise<void> {
    try {
      if (signal.aborted) return done.resolve()
      const mine = await patiently(() => send([...next.values()]), { clock, deadlineMs: patienceMs, signal })
      if (!mine) lost()
      done.resolve()
    } catch (error) {
      // The partitions went while it waited: their new owner decides.
      if (signal.aborted) done.resolve()
      else done.reject(toLogError(error))
    }
  }

  return {
    commit(next) {
      if (next.length === 0 || signal.aborted) return Promise.resolve()
      const round = gathering ?? { next: new Map(), done: Promise.withResolvers<void>() }
      for (const position of next) round.next.set(nameOf(position), position)
      if (!gathering) {
        gathering = round
        sending = sending.then(() => {
          gathering = undefined
          return sendRound(round)
        })
      }
      return round.done.promise
    },
    settled: () => sending,
  }
}
