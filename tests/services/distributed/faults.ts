/** What is done to a distributed Raylog while it works: services killed, frozen and cut off, processes killed and started again. */
import { setTimeout as wait } from 'node:timers/promises'
import { between } from '../../../producers/simulator/random.ts'
import type { Raylog } from '../../harness/raylog.ts'
import { until } from '../../harness/until.ts'
import type { Server } from '../servers/server.ts'
import type { TcpProxy } from '../tcp-proxy.ts'

export interface Fault {
  name: string
  /** How long it lasts, ms. */
  ms: number
  begin(): Promise<void> | void
  end(): Promise<void> | void
}

export const killed = (what: string, server: Server, ms: number): Fault => ({
  name: `${what} killed`,
  ms,
  begin: () => server.kill(),
  end: () => server.start(),
})

export const frozen = (what: string, server: Server, ms: number): Fault => ({
  name: `${what} frozen`,
  ms,
  begin: () => server.freeze(),
  end: () => server.thaw(),
})

/** The network to it: passes nothing for a while, then is cut for a while. */
export const offline = (what: string, proxy: TcpProxy, ms: number): Fault[] => [
  { name: `${what} silent`, ms, begin: () => proxy.freeze(), end: () => proxy.thaw() },
  { name: `${what} cut off`, ms, begin: () => proxy.cut(), end: () => proxy.restore() },
]

/** Fisher-Yates. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items]
  return items.flatMap(() => left.splice(Math.floor(random() * left.length), 1))
}

/**
 * A gate for senders: each fault lets some more of the images in, so that none strikes a system at rest, however fast the
 * machine is.
 */
export function openGate(total: number) {
  let open = 0
  let asked = 0
  let through = 0
  return {
    /** @param share of all images that may have been sent by now, 0 to 1 */
    open: (share: number) => {
      open = Math.max(open, share * total)
    },
    /** Waits until so many more may go. */
    async enter(count: number): Promise<void> {
      asked += count
      const mine = asked
      while (mine > open) await wait(20)
      through += count
    },
    /** Whether all that may go have begun, but for part of a batch. */
    isPassed: (batch: number) => through + batch > open,
  }
}

export interface Mortal {
  name: string
  raylog: Raylog
  /** Kills with SIGKILL so far. */
  kills: number
}

/**
 * Does what an orchestrator does: starts a process again when it has ended, until it stays up.
 * Those that ended without being killed are told of by `endedAlone`.
 */
export function watchOver(processes: Readonly<Record<string, Raylog>>) {
  const mortals: Mortal[] = Object.entries(processes).map(([name, raylog]) => ({ name, raylog, kills: 0 }))
  const down = new Set<Mortal>()
  const endedAlone: string[] = []
  const over = new AbortController()

  async function revive({ name, raylog }: Mortal): Promise<void> {
    await until(
      `${name} runs again`,
      async () => {
        try {
          await raylog.restart()
          return true
        } catch {
          // What it needs is away at the moment. It may also hang in its start: then it is ended first.
          await raylog.kill()
          return over.signal.aborted
        }
      },
      { deadlineMs: 600_000, everyMs: 200 },
    )
  }

  async function kill(mortal: Mortal): Promise<void> {
    down.add(mortal)
    mortal.kills++
    await mortal.raylog.kill()
    await revive(mortal)
    down.delete(mortal)
  }

  async function watch(): Promise<void> {
    while (!over.signal.aborted) {
      await wait(500)
      for (const mortal of mortals) {
        if (down.has(mortal) || mortal.raylog.alive || over.signal.aborted) continue
        endedAlone.push(`${mortal.name}: ${mortal.raylog.logs().slice(-2_000)}`)
        console.log(`ended by itself: ${endedAlone.at(-1)}`)
        down.add(mortal)
        await revive(mortal)
        down.delete(mortal)
      }
    }
  }
  const watching = watch()

  /** Those that end from here on are put away, and did not end by themselves. */
  async function end(): Promise<void> {
    over.abort()
    await watching
  }

  return {
    mortals,
    endedAlone,
    /**
     * Kills one after the other at random moments, each at least once, until told to stop.
     * @param pauseMs before each
     * @param moment waited for before that, so that a kill meets something
     */
    async killAtRandom(
      random: () => number,
      pauseMs: readonly [number, number],
      isOver: () => boolean,
      moment: (name: string) => Promise<unknown> = async () => undefined,
    ): Promise<void> {
      for (let line: Mortal[] = []; ; ) {
        if (isOver() && mortals.every(({ kills }) => kills > 0)) return
        if (line.length === 0) line = shuffled(mortals, random)
        const next = line.shift()
        if (next) await moment(next.name)
        await wait(between(random, ...pauseMs))
        if (next && !down.has(next)) await kill(next)
      }
    },
    end,
    [Symbol.asyncDispose]: end,
  }
}
