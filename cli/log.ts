/** The log by itself, in either mode, for commands that need nothing else. */
import { compile, type Plan } from '../kafka/compile.ts'
import type { EventLog, TopicChange, TopicSpec } from '../kafka/log.ts'
import { systemClock } from '../monitoring/clock.ts'
import { createLogger } from './logger.ts'
import { readSettings, type SettingSources } from './settings.ts'
import { allStages } from './stages.ts'

/** A log, and what its topics can be made into. */
export interface LogAlone extends EventLog {
  /** What would have to change. Changes nothing. */
  planTopics(specs: readonly TopicSpec[]): Promise<TopicChange[]>
  /** Does these changes of a plan, and nothing else. */
  applyTopics(specs: readonly TopicSpec[], changes: readonly TopicChange[]): Promise<void>
}

export interface OpenedLog extends AsyncDisposable {
  log: LogAlone
  plan: Plan
}

/**
 * @param make an embedded log that is not there yet is made
 * @throws RaylogError config-invalid; data-in-use while a Raylog runs on an embedded log; log-unavailable
 */
export async function openLogAlone(sources: SettingSources, { make }: { make: boolean }): Promise<OpenedLog> {
  const plan = compile(allStages, readSettings(sources))
  const surroundings = { logger: createLogger(plan.config.logLevel), clock: systemClock }
  const log =
    plan.config.mode === 'embedded'
      ? await (await import('./embedded.ts')).embeddedLog(plan, surroundings, make)
      : await (await import('./distributed.ts')).kafkaLog(plan, surroundings)
  return { log, plan, [Symbol.asyncDispose]: () => log.close() }
}
