/**
 * Tells receivers of each production prediction. What becomes of each delivery is kept in `deliveries` and counted.
 *
 * An event is never parked because a receiver does not take it: the delivery is recorded as failed instead. Parking is
 * for events that could not be handled; this one was, by the other receivers, and trying it again would tell them twice.
 */
import { defineStage } from '../../kafka/stage.ts'
import { type Prediction, topics } from '../../schemas/topics.ts'
import type { Message } from './channel.ts'
import { notifyConfig } from './config.ts'
import { deliverer } from './deliver.ts'
import { webhook } from './webhook.ts'

export const notify = defineStage({
  name: 'notify',
  role: 'consumer',
  summary: 'tells webhooks of each production prediction, signed, and keeps what became of it',
  reads: [topics.predictions],
  writes: [],
  needs: ['documents', 'metrics'],
  config: notifyConfig,
  // Deliveries do not depend on each other, and a receiver that is slow should not hold up its study's next image.
  order: 'none',
  concurrency: config => config.concurrency,
  async open({ config, deps, clock }) {
    const channels = config.webhooks.map(settings => webhook(settings, clock))
    const ports = { ...deps, clock, random: Math.random }
    const destinations = channels.map(channel => ({ channel, deliver: deliverer(ports, config, channel) }))
    return {
      async handle({ event: prediction }, { signal }) {
        if (prediction.role !== 'production') return
        const message = messageOf(prediction, config.linkBase)
        const wanted = destinations.filter(({ channel }) => channel.wants(prediction))
        // All to their end before the first failure is told: none is left running behind the runner's back.
        const outcomes = await Promise.allSettled(wanted.map(({ deliver }) => deliver(message, signal)))
        for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
      },
    }
  },
})

function messageOf(prediction: Prediction, linkBase: string | null): Message {
  const base = linkBase?.replace(/\/$/, '') ?? ''
  const link = (path: string) => `${base}/api/v1/${path}`
  return {
    type: 'prediction.created',
    prediction,
    links: {
      page: `${base}/instances/${prediction.instance}`,
      prediction: link(`predictions/${prediction.id}`),
      instance: link(`instances/${prediction.instance}`),
      study: link(`studies/${prediction.study}`),
      reports: link(`reports?prediction=${prediction.id}`),
    },
  }
}
