/** Which models take an instance, and why or why not, in words for people. Pure: the same answer for infer, `explain` and whoever waits. */
import { isOwnReport } from '../schemas/own-report.ts'
import type { RoutingRule } from '../schemas/routing.ts'
import type { Instance } from '../schemas/topics.ts'
import type { ModelManifest } from './manifest.ts'
import type { Route } from './port.ts'
import { nameOf, refOf } from './registry.ts'

const clean = (text: string) => text.trim().toUpperCase()

/**
 * One route for each manifest. Where the sender asked for models by name (`name` or `name@version`), just those are
 * accepted, whatever the attributes say; what cannot be decoded, has no pixels or is a report of ours is refused all the same, and so is what a
 * rule refuses. For each model the first rule that fits decides; none fits: the route stays.
 */
export function routesFor(
  manifests: readonly ModelManifest[],
  instance: Instance,
  rules: readonly RoutingRule[] = [],
): Route[] {
  return manifests.map(manifest => {
    const refusals = refusalsOf(manifest, instance)
    if (refusals.length === 0) refusals.push(...refusalsByRule(manifest, instance, rules))
    const accepted = refusals.length === 0
    return { model: refOf(manifest), accepted, reason: accepted ? welcome(manifest, instance) : refusals.join('; ') }
  })
}

function refusalsByRule(manifest: ModelManifest, instance: Instance, rules: readonly RoutingRule[]): string[] {
  const at = rules.findIndex(rule => fits(rule, manifest, instance))
  return rules[at]?.allow === false ? [`rule ${at + 1} of models.rules refuses it`] : []
}

function fits(rule: RoutingRule, manifest: ModelManifest, { site, source, modality }: Instance): boolean {
  const among = (list: readonly string[], value: string | null) =>
    list.length === 0 || (value !== null && list.includes(value))
  return (
    ['*', manifest.name, nameOf(manifest)].includes(rule.model) &&
    among(rule.sites, site) &&
    among(rule.sources, source.kind) &&
    among(rule.peers, source.peer) &&
    among(rule.modalities, modality)
  )
}

function refusalsOf(manifest: ModelManifest, instance: Instance): string[] {
  if (instance.rows === null) return ['there are no pixels in it']
  if (isOwnReport(instance)) return ['it is a report that Raylog made']
  const { accepts } = manifest
  const name = nameOf(manifest)
  const type = mismatch('content type', accepts.contentTypes, instance.object.contentType, name)
  if (instance.requested.length > 0) {
    const asked = instance.requested.some(wish => wish === manifest.name || wish === name)
    const other = asked ? [] : [`the sender asked for ${instance.requested.join(', ')}`]
    return [...other, ...type]
  }
  return [
    ...type,
    ...mismatch('modality', accepts.modalities, instance.modality, name),
    ...mismatch('body part', accepts.bodyParts, instance.bodyPart, name),
    ...mismatch('view', accepts.views, instance.view, name),
    ...mismatch('photometric interpretation', accepts.photometric, instance.photometric, name),
  ]
}

function mismatch(what: string, takes: readonly string[], has: string | null, name: string): string[] {
  if (takes.length === 0) return []
  const list = takes.join(', ')
  if (has === null || has.trim() === '') return [`${what} is not given; ${name} takes ${list}`]
  return takes.some(one => clean(one) === clean(has)) ? [] : [`${what} is ${has}; ${name} takes ${list}`]
}

function welcome(manifest: ModelManifest, instance: Instance): string {
  if (instance.requested.length > 0) return 'the sender asked for it'
  const { accepts } = manifest
  const matched = [
    accepts.modalities.length > 0 ? `modality ${instance.modality}` : '',
    accepts.bodyParts.length > 0 ? `body part ${instance.bodyPart}` : '',
    accepts.views.length > 0 ? `view ${instance.view}` : '',
    accepts.photometric.length > 0 ? `photometric interpretation ${instance.photometric}` : '',
  ].filter(text => text !== '')
  return matched.length > 0 ? `${matched.join(', ')}: ${nameOf(manifest)} takes it` : `${nameOf(manifest)} takes any`
}
