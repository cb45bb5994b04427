/** What would an event have sent, to whom, and why or why not: asked of the same code that sends, and nothing is sent. */
import { z } from 'zod'
import type { Prediction } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { NotifyConfig } from './config.ts'
import type { Rule } from './config-people.ts'
import { type Facts, factsOfPrediction, factsOfStudy } from './facts.ts'
import { heedOf, matchOf } from './match.ts'
import { noticeIdOf, withEvent } from './notice.ts'
import { recipientsOf, timeZoneOf } from './recipients.ts'

const targetShape = z.object({
  person: z.string(),
  channel: z.string(),
  kind: z.string(),
  dueAt: z.int().describe('ms since the epoch'),
  why: z.string().nullable().describe('why not at once: quiet-hours, grouping'),
})

export const trialShape = z.object({
  event: z.string(),
  on: z.enum(['study', 'prediction']),
  study: z.string(),
  rules: z.array(
    z.object({
      rule: z.string(),
      matches: z.boolean(),
      checks: z.array(z.object({ what: z.string(), ok: z.boolean(), why: z.string() })),
      title: z.string().nullable().describe('null: nothing would be told'),
      to: z.array(targetShape).describe('as of now; where the rule fits no more, those who were told before'),
      vacant: z.array(z.string()).describe('roles that nobody has now'),
      known: z
        .object({ id: z.string(), edition: z.int(), phase: z.string(), outcome: z.string().nullable() })
        .nullable()
        .describe('what was told before of the same'),
      repeat: z.boolean().describe('it says nothing that was not told before: nobody is told again'),
      chain: z.array(z.object({ name: z.string(), afterMs: z.int() })).describe('who is told if nobody acknowledges'),
    }),
  ),
  webhooks: z
    .array(z.object({ destination: z.string(), told: z.boolean() }))
    .describe('those that take every prediction'),
})
export type Trial = z.infer<typeof trialShape>

/** Webhooks as the settings have them. */
export interface Hook {
  destination: string
  wants(prediction: Prediction): boolean
}

export interface TrialContext {
  documents: DocumentStore
  config: NotifyConfig
  hooks: readonly Hook[]
  now: number
}

/** Id of a prediction, a study's revision (sr_…), a study (its newest revision) or an image (all that was said of it). */
export async function trialsOf(context: TrialContext, id: string): Promise<Trial[]> {
  const { documents } = context
  const prediction = await documents.get('predictions', id)
  if (prediction) return [await trialOf(context, factsOfPrediction(prediction), prediction)]
  const revision =
    (await documents.get('assessments', id)) ??
    (await documents.find('assessments', { where: { study: id }, limit: 1000 })).items.toSorted(
      (a, b) => b.revision - a.revision,
    )[0]
  const { items } = await documents.find('predictions', { where: { instance: id }, limit: 100 })
  const events = [
    ...(revision ? [trialOf(context, factsOfStudy(revision), null)] : []),
    ...items.map(one => trialOf(context, factsOfPrediction(one), one)),
  ]
  return Promise.all(events)
}

async function trialOf(context: TrialContext, facts: Facts, prediction: Prediction | null): Promise<Trial> {
  const rules = await Promise.all(context.config.rules.map(rule => ruleOf(context, rule, facts)))
  const webhooks = context.hooks.map(hook => ({
    destination: hook.destination,
    told: prediction !== null && hook.wants(prediction),
  }))
  return { event: facts.id, on: facts.on, study: facts.study, rules, webhooks }
}

async function ruleOf(
  { documents, config, now }: TrialContext,
  rule: Rule,
  facts: Facts,
): Promise<Trial['rules'][number]> {
  const match = matchOf(rule, facts, now, timeZoneOf(config, facts.site))
  const heed = heedOf(facts, now, config.maxAgeMs)
  const heeded = rule.on === facts.on && heed.every(({ ok }) => ok)
  const matches = heeded && match.matches
  const known = await documents.get('notices', noticeIdOf(rule, facts))
  // As if the event came now: what was kept of it itself does not make it an old one.
  const before = known && { ...known, revision: null }
  const next = heeded ? withEvent({ config, rule, facts, match, now }, before) : undefined
  const same = next !== undefined && next.edition === before?.edition && (next.outcome !== null || before.told !== null)
  const tells = next !== undefined && !same
  const asked = { rule, site: facts.site, stat: facts.priority === 'stat', edition: 1, step: 0, now }
  const { targets, vacant } = matches || tells ? recipientsOf(config, asked) : { targets: [], vacant: [] }
  const kinds = new Map(config.channels.map(({ name, kind }) => [name, kind]))
  const { chain = [], withinMs = 0 } = rule.acknowledge ?? {}
  return {
    rule: rule.name,
    ...{ matches, checks: [...heed, ...match.checks], title: tells || matches ? (next?.title ?? null) : null },
    to: (tells ? next.targets : targets).map(({ person, channel, dueAt, why }) => ({
      ...{ person, channel, kind: kinds.get(channel) ?? 'unknown', dueAt, why },
    })),
    vacant,
    known: known ? { id: known.id, edition: known.edition, phase: known.phase, outcome: known.outcome } : null,
    repeat: matches && same,
    chain: matches ? chain.map((name, at) => ({ name, afterMs: (at + 1) * withinMs })) : [],
  }
}
