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
  while (!signal.aborted) {
    const now = clock.now()
    const count = (topic: { name: string }) => heard.get(topic.name) ?? 0
    samples.push({ at: now, received: count(topics.instances), predictions: count(topics.predictions) })
    if (samples.length > windowTicks + 1) samples.shift()
    try {
      if (sockets() > 0) send({ at: now, rates: ratesOf(samples), sockets: sockets(), ...(await look(options.deps)) })
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

async function look({
  log,
  documents,
  health,
}: PulseOptions['deps']): Promise<Pick<Pulse, 'lag' | 'parked' | 'health'>> {
  const [groups, parked, report] = await Promise.all([
    log.groups(),
    documents.count('parked', { state: 'parked' }),
    health.report(),
  ])
  const lags = await Promise.all(
    groups.map(async group => [group, (await log.lag(group)).reduce((sum, { lag }) => sum + lag, 0)] as const),
  )
  const failing = report.parts.flatMap(({ ok, part, code, reason }) => (ok ? [] : [{ part, code, reason }]))
  return { lag: Object.fromEntries(lags), parked, health: { ok: report.ok, failing } }
}
