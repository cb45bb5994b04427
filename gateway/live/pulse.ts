/** Once a second, for all clients together: rates, lag, parked, health. */
import type { Logger } from 'pino'
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import type { Pulse } from './messages.ts'

export interface PulseOptions {
  deps: Pick<Ports, 'log' | 'documents' | 'health'>
  clock: Clock
  logger: Logger
  intervalMs: number
  /** Events pushed since the start, by topic. */
  heard: ReadonlyMap<string, number>
  sockets(): number
  send(pulse: Pulse): void
}

const windowTicks = 5

interface Sample {
  at: number
  received: number
  predictions: number
}

/** Beats until the signal; asks nothing while nobody listens. Resolves when it has stopped. */
export async function beat(options: PulseOptions, signal: AbortSignal): Promise<void> {
  const { clock, intervalMs, heard, logger, sockets, send } = options
  const samples: Sample[] = []
  const look = createLook(options.deps, clock)
  while (!signal.aborted) {
    const now = clock.now()
    const count = (topic: { name: string }) => heard.get(topic.name) ?? 0
    samples.push({ at: now, received: count(topics.instances), predictions: count(topics.predictions) })
    if (samples.length > windowTicks + 1) samples.shift()
    try {
      if (sockets() > 0) send({ at: now, rates: ratesOf(samples), sockets: sockets(), ...(await look()) })
    } catch (error) {
      logger.warn({ code: toRaylogError(error).code }, 'no pulse')
    }
    await clock.sleep(intervalMs, signal).catch(() => undefined)
  }
}

function ratesOf(samples: readonly Sample[]): Pulse['rates'] {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.at <= first.at) return { received: 0, predictions: 0 }
  const seconds = (last.at - first.at) / 1000
  const rate = (count: number) => Math.round((count / seconds) * 10) / 10
  return { received: rate(last.received - first.received), predictions: rate(last.predictions - first.predictions) }
}

type Look = Pick<Pulse, 'lag' | 'parked' | 'newestParked' | 'health'>

/** A health check may write to the disk, so it is asked less often than the pulse beats, ms. */
const healthEveryMs = 5_000

/** What is known now; where a store does not answer, what was known last, and a health that says so. */
function createLook({ log, documents, health }: PulseOptions['deps'], clock: Clock): () => Promise<Look> {
  let last: Omit<Look, 'health'> = { lag: {}, parked: 0, newestParked: null }
  let checked: { at: number; health: Pulse['health'] } | undefined

  async function counts(): Promise<Omit<Look, 'health'>> {
    const isParked = { state: 'parked' }
    const [groups, parked, newest] = await Promise.all([
      log.groups(),
      documents.count('parked', isParked),
      documents.find('parked', { where: isParked, limit: 1 }),
    ])
    const lags = await Promise.all(
      groups.map(async group => [group, (await log.lag(group)).reduce((sum, { lag }) => sum + lag, 0)] as const),
    )
    return { lag: Object.fromEntries(lags), parked, newestParked: newest.items[0]?.id ?? null }
  }

  async function checkHealth(): Promise<Pulse['health']> {
    const now = clock.now()
    if (checked && now >= checked.at && now - checked.at < healthEveryMs) return checked.health
    const { ok, parts } = await health.report()
    const failing = parts.flatMap(({ ok: fine, part, code, reason }) => (fine ? [] : [{ part, code, reason }]))
    checked = { at: now, health: { ok, failing } }
    return checked.health
  }

  return async () => {
    try {
      last = await counts()
    } catch (thrown) {
      // The stores' own health checks may not have been asked since.
      checked = undefined
      const { code, entry } = toRaylogError(thrown)
      const { failing } = await checkHealth()
      const ours = { part: 'pulse', code, reason: entry.title }
      return { ...last, health: { ok: false, failing: failing.length > 0 ? failing : [ours] } }
    }
    return { ...last, health: await checkHealth() }
  }
}
