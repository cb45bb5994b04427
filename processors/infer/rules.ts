/** The operator's routing rules: they narrow what the models' manifests accept, and never widen it. */
import { z } from 'zod'
import type { Route } from '../../models/port.ts'
import type { Instance } from '../../schemas/topics.ts'

const anything = z.array(z.string()).default([]).describe('empty: any')

export const ruleSchema = z.strictObject({
  model: z.string().describe('name or name@version; * for every model'),
  sites: anything,
  sources: anything.describe('kinds of source, such as dimse or upload; empty: any'),
  peers: anything.describe('calling AE titles or routes; empty: any'),
  modalities: anything,
  allow: z.boolean(),
})

export type Rule = z.infer<typeof ruleSchema>

/**
 * The routes after the rules. For each model the first rule that fits decides; none fits: the route stays. A sender that
 * asks for a model by name is bound by the rules too.
 */
export function applyRules(routes: readonly Route[], rules: readonly Rule[], instance: Instance): Route[] {
  return routes.map(route => {
    const at = rules.findIndex(rule => fits(rule, route, instance))
    if (!route.accepted || at < 0 || rules[at]?.allow) return route
    return { ...route, accepted: false, reason: `rule ${at + 1} of the settings refuses it` }
  })
}

function fits(rule: Rule, { model }: Route, instance: Instance): boolean {
  const named = rule.model === '*' || rule.model === model.name || rule.model === `${model.name}@${model.version}`
  const among = (list: readonly string[], value: string | null) =>
    list.length === 0 || (value !== null && list.includes(value))
  return (
    named &&
    among(rule.sites, instance.site) &&
    among(rule.sources, instance.source.kind) &&
    among(rule.peers, instance.source.peer) &&
    among(rule.modalities, instance.modality)
  )
}
