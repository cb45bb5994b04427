/**
 * Tells people and systems of what was found: webhooks of each production prediction, and rules of predictions and studies.
 * What becomes of each delivery is kept in `deliveries` and counted; what a rule says to whom, in `notices`.
 *
 * An event is never parked because a receiver does not take it: the delivery is recorded as failed instead. Parking is
 * for events that could not be handled; this one was, by the other receivers, and trying it again would tell them twice.
 */
import { defineStage, type OpenContext } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { type NotifyConfig, notifyConfig } from './config.ts'

const reads = [topics.predictions, topics.studies] as const
const writes = [topics.notifications, topics.audit] as const
const needs = ['documents', 'secrets', 'images', 'http', 'metrics'] as const

export type NotifyRead = (typeof reads)[number]
export type NotifyContext = OpenContext<(typeof writes)[number], (typeof needs)[number], NotifyConfig>

export const notify = defineStage({
  name: 'notify',
  role: 'consumer',
  summary:
    'tells people and systems of results by rule, sees to it that critical ones are acknowledged, and keeps what became of it',
  reads,
  writes,
  needs,
  config: notifyConfig,
  secretSettings: ['url'],
  // Deliveries do not depend on each other, and a receiver that is slow should not hold up its study's next image.
  order: 'none',
  concurrency: config => config.concurrency,
  // Its modules are loaded by processes that run it.
  open: async context => (await import('./open.ts')).openNotify(context),
})
