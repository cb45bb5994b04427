/**
 * What stages missed because retention removed it first: said in the log, counted, and part of the health for an hour. Nothing
 * can bring such events back to the stage, so it is said once and loudly. A crash before the next commit says it again.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import type { Health } from '../../monitoring/health.ts'
import type { Metrics } from '../../monitoring/metrics.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Gap } from '../log.ts'

export type Missed = (stage: string, gap: Gap) => void

/** How long the health speaks of it after the last one, ms. */
const saidForMs = 3_600_000

export function createMissed(ports: { health: Health; metrics: Metrics; clock: Clock; logger: Logger }): Missed {
  const { health, metrics, clock, logger } = ports
  const counts = new Map<string, { stage: string; topic: string; events: number }>()
  let last = 0

  function check(): void {
    if (counts.size === 0) return
    if (clock.now() - last > saidForMs) {
      counts.clear()
      return
    }
    const each = [...counts.values()].map(({ stage, topic, events }) => `${stage} missed ${events} of ${topic}`)
    throw new RaylogError('events-missed', `removed by retention before they were read: ${each.join(', ')}`)
  }

  return (stage, { topic, partition, from, to }) => {
    const events = to - from
    logger.warn(
      { stage, topic, partition, from, to, events },
      'retention removed events before the stage had read them',
    )
    metrics.eventsMissed.inc({ stage, topic }, events)
    if (counts.size === 0) health.register('retention', check)
    const name = `${stage} ${topic}`
    counts.set(name, { stage, topic, events: (counts.get(name)?.events ?? 0) + events })
    last = clock.now()
  }
}
