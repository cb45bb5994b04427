/** What the stage does, with its channels: loaded by a process that runs it, and by no other. */
import { randomUUID } from 'node:crypto'
import type { Ports } from '../../kafka/ports.ts'
import type { OpenStage } from '../../kafka/stage.ts'
import { allToTheirEnd } from '../../schemas/errors.ts'
import { type NoticeDoc, openPhases } from '../../schemas/notice.ts'
import type { Prediction } from '../../schemas/topics.ts'
import { type Due, lookForDue } from '../../storage/due.ts'
import { createBudget } from './budget.ts'
import type { PredictionMessage } from './channel.ts'
import { webhook } from './channels/webhook.ts'
import type { NotifyConfig } from './config.ts'
import { destinationOf } from './config-channels.ts'
import { deliverer } from './deliver.ts'
import { type Facts, factsOfPrediction, factsOfStudy } from './facts.ts'
import { heedOf } from './match.ts'
import { Notices } from './notices.ts'
import { addTestRoute } from './routes.ts'
import { openSenders } from './send.ts'
import type { NotifyContext, NotifyRead } from './stage.ts'
import { trialsOf } from './trial.ts'

export async function openNotify({
  config,
  deps,
  clock,
  logger,
  publish,
  showNames,
  researchUseOnly,
}: NotifyContext): Promise<OpenStage<NotifyRead, never>> {
  const { documents } = deps
  const ports = { ...deps, clock, random: Math.random }
  const hooks = config.webhooks.map(settings => {
    const channel = webhook(settings, clock)
    const deliver = deliverer(ports, config, channel)
    return { destination: destinationOf(settings), wants: channel.wants, deliver }
  })
  const senders = openSenders({ deps, ports, config, publish, logger, showNames, researchUseOnly })
  const budget = createBudget(documents, clock.now)
  const { send } = senders
  const notices = new Notices({ documents, publish, clock, config, budget, owner: randomUUID(), send })
  const stopping = new AbortController()
  /** Of this process; at the start it is not known whether the clock was put back. */
  let lookedAt = Number.POSITIVE_INFINITY
  const due: Due<NoticeDoc> = {
    ...{ what: 'notifications', clock, logger, random: Math.random, lookMs: config.lookMs },
    // Held ones, acknowledgements that did not come, what a crash left behind.
    async find(limit) {
      const now = clock.now()
      if (now < lookedAt) await notices.bringForward()
      lookedAt = now
      const where = { phase: { in: openPhases }, dueAt: { lt: now + 1 } }
      return await documents.find('notices', { where, order: 'oldest', limit })
    },
    consider: (notice, signal) => notices.considerDue(notice, signal),
  }
  const looking = mayBeDue(documents, config).then(may => (may ? lookForDue(due, stopping.signal) : undefined))
  addTestRoute(deps.http, (id, at) => trialsOf({ documents, config, hooks, now: at ?? clock.now() }, id))

  async function tellHooks(prediction: Prediction, signal: AbortSignal): Promise<void> {
    const message = messageOf(prediction, config.linkBase)
    const { id: key, id: subject, study } = prediction
    const wanted = hooks.filter(({ wants }) => wants(prediction))
    await allToTheirEnd(
      wanted.map(({ deliver, destination }) => deliver({ key, subject, study, destination }, () => message, signal)),
    )
  }
  function tellByRules(facts: Facts, signal: AbortSignal): Promise<void> {
    const heeded = heedOf(facts, clock.now(), config.maxAgeMs).every(({ ok }) => ok)
    const rules = heeded ? config.rules.filter(({ on }) => on === facts.on) : []
    return allToTheirEnd(rules.map(rule => notices.tell(rule, facts, signal)))
  }

  return {
    async handle(read, { signal }) {
      if (read.topic === 'imaging.studies.v1') return tellByRules(factsOfStudy(read.event), signal)
      await allToTheirEnd([tellHooks(read.event, signal), tellByRules(factsOfPrediction(read.event), signal)])
    },
    async close() {
      stopping.abort(new Error('stopping'))
      await looking
      senders.close()
    },
  }
}

/**
 * Without rules too where there are some of before: what was open is withdrawn, and one that nobody answered may yet be
 * acknowledged, which goes onto the log. Where the store does not say, there may be.
 */
async function mayBeDue(documents: Ports['documents'], { rules }: NotifyConfig): Promise<boolean> {
  if (rules.length > 0) return true
  const some = documents.find('notices', { limit: 1 })
  return some.then(
    ({ items }) => items.length > 0,
    () => true,
  )
}

function messageOf(prediction: Prediction, linkBase: string | null): PredictionMessage {
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
