/** How a notification changes by what events say. Pure: what is kept before, what is to be kept after. */
import { ids } from '../../schemas/ids.ts'
import { type NoticeDoc, type NoticeFinding, withTrail } from '../../schemas/notice.ts'
import type { NotifyConfig } from './config.ts'
import type { Rule } from './config-people.ts'
import type { FactFinding, Facts } from './facts.ts'
import type { Match } from './match.ts'
import { recipientsOf, targetsOf, timeZoneOf } from './recipients.ts'

export const noticeIdOf = (rule: Rule, facts: Facts): string =>
  ids.notice(rule.name, rule.per === 'study' ? facts.study : facts.id)

export interface Event {
  config: NotifyConfig
  rule: Rule
  facts: Facts
  match: Match
  now: number
}

/**
 * @param known what is kept of it, if anything is
 * @returns what is to be kept; `known` itself where the event changes nothing, undefined where there is nothing to tell
 */
export function withEvent(event: Event, known: NoticeDoc | undefined): NoticeDoc | undefined {
  const { rule, facts, match, now } = event
  if (!known) return match.matches ? begun(event) : undefined
  if (facts.revision !== null && facts.revision <= (known.revision ?? 0)) return known
  const findings = nextFindings(event, known)
  const priority = facts.priority ?? known.priority
  const seen = {
    ...known,
    ...{ subject: facts.id, revision: facts.revision, patient: facts.patient, modality: facts.modality },
  }
  // What the settings did not know any more and know again was told to nobody, though it says nothing else.
  const lost = known.told === null && known.outcome === 'withdrawn' && match.matches
  if (!lost && saysTheSame(known, findings, priority)) {
    if (facts.on === 'study') return seen
    return known.told === null ? { ...known, findings } : known
  }
  const next = { ...seen, findings, priority, title: titleOf(rule, findings), instance: imageOf(match.findings, known) }
  if (known.told !== null) return nextEdition(event, next, known)
  if (known.outcome !== null) return match.matches ? anew(event, next) : next
  if (match.matches) return priority === 'stat' ? freed(event, next) : next
  const why = { what: 'changed' as const, who: null, channel: null, detail: 'nothing is left to tell', at: now }
  return withTrail({ ...next, phase: 'settling', dueAt: now, outcome: 'withdrawn', targets: [] }, why)
}

/** It was over before anybody was told: withdrawn while it was held, or acknowledged on the page. */
function anew(event: Event, next: NoticeDoc): NoticeDoc {
  const { version, edition, createdAt, trail, published, findings, priority, title, instance } = next
  const why = {
    what: 'changed' as const,
    who: null,
    channel: null,
    detail: 'there is something to tell',
    at: event.now,
  }
  const kept = { version, edition, createdAt, trail, published, findings, priority, title, instance }
  const { notice, vacant } = first(event, edition)
  return withSteps(withTrail({ ...notice, ...kept }, why), vacant, event.now)
}

/** STAT knows no quiet hours, also where it becomes so while they last. */
function freed({ rule, now }: Event, next: NoticeDoc): NoticeDoc {
  if (next.targets.every(({ why }) => why !== 'quiet-hours')) return next
  const dueAt = Math.max(now, next.createdAt + rule.groupMs)
  const why = dueAt > now ? 'grouping' : null
  const targets = next.targets.map(target => (target.why === 'quiet-hours' ? { ...target, dueAt, why } : target))
  const said = { what: 'changed' as const, who: null, channel: null, detail: 'STAT: no quiet hours', at: now }
  return withTrail({ ...next, targets, dueAt: earliest(targets, now) }, said)
}

function begun(event: Event): NoticeDoc {
  const { notice, vacant } = first(event, 1)
  return withSteps(notice, vacant, event.now)
}

/** As it is before anything was said of it, and the roles that nobody has. */
function first(event: Event, edition: number): { notice: NoticeDoc; vacant: string[] } {
  const { config, rule, facts, match, now } = event
  const stat = facts.priority === 'stat'
  const { targets, vacant } = recipientsOf(config, { rule, site: facts.site, stat, edition, step: 0, now })
  const findings = match.findings.map(told)
  const notice: NoticeDoc = {
    id: noticeIdOf(rule, facts),
    version: 1,
    phase: 'held',
    dueAt: earliest(targets, now),
    rule: rule.name,
    critical: rule.acknowledge !== null,
    title: titleOf(rule, findings),
    ...{ study: facts.study, site: facts.site, patient: facts.patient, modality: facts.modality },
    priority: facts.priority ?? 'routine',
    ...{ subject: facts.id, instance: imageOf(match.findings, undefined), revision: facts.revision },
    edition,
    findings,
    ...{ told: null, toldPriority: null, changes: [], step: 0, owner: null, targets },
    ...{ outcome: null, acknowledgedBy: null, acknowledgedAt: null, trail: [], published: 0, createdAt: now },
  }
  return { notice, vacant }
}

/** Whoever was told hears of the change, besides those who are to be told now. */
function nextEdition(event: Event, next: NoticeDoc, known: NoticeDoc): NoticeDoc {
  const { config, rule, facts, match, now } = event
  const edition = known.edition + 1
  const asked = { rule, site: facts.site, stat: next.priority === 'stat', edition, step: 0, now }
  const { targets, vacant } = recipientsOf(config, asked)
  const before = new Set(known.targets.flatMap(({ person, state }) => (state === 'failed' ? [] : [person])))
  for (const { person } of targets) before.delete(person)
  const zone = timeZoneOf(config, facts.site)
  const all = [...targets, ...[...before].flatMap(person => targetsOf(config, person, asked, zone))]
  const changes = changesOf(known, next)
  const changed: NoticeDoc = {
    ...next,
    ...{ phase: 'held', dueAt: earliest(all, now), edition, changes, step: 0, owner: null, targets: all },
    ...{ outcome: null, acknowledgedBy: null, acknowledgedAt: null },
    // What is gone need not be acknowledged.
    critical: rule.acknowledge !== null && match.matches,
  }
  const step = { what: 'changed' as const, who: null, channel: null, detail: changes.join('; '), at: now }
  return withSteps(withTrail(changed, step), vacant, now)
}

export const earliest = (targets: NoticeDoc['targets'], otherwise: number): number =>
  targets.length === 0 ? otherwise : Math.min(...targets.map(({ dueAt }) => dueAt))

export function withVacant(notice: NoticeDoc, vacant: readonly string[], at: number): NoticeDoc {
  const steps = vacant.map(who => ({
    what: 'nobody' as const,
    who,
    channel: null,
    detail: 'nobody has the role now',
    at,
  }))
  return steps.length === 0 ? notice : withTrail(notice, ...steps)
}

const withSteps = (notice: NoticeDoc, vacant: readonly string[], at: number): NoticeDoc =>
  withHeld(withVacant(notice, vacant, at), at)

function withHeld(notice: NoticeDoc, at: number): NoticeDoc {
  const held = notice.targets.filter(({ why }) => why === 'quiet-hours')
  const steps = held.map(({ person: who, channel, why: detail }) => ({
    what: 'held' as const,
    who,
    channel,
    detail,
    at,
  }))
  return steps.length === 0 ? notice : withTrail(notice, ...steps)
}

function told({ instance: _, ...finding }: FactFinding): NoticeFinding {
  return finding
}

const imageOf = (findings: readonly FactFinding[], known: NoticeDoc | undefined): string | null =>
  findings.find(({ present }) => present)?.instance ?? findings[0]?.instance ?? known?.instance ?? null

const keyOf = ({ model, label, group }: NoticeFinding): string => JSON.stringify([model, label, group])

/**
 * Predictions add up; a study says all anew. Of what recipients know of is said as well that it is not there any more, or is
 * there now, also where the rule is not about that.
 */
function nextFindings({ facts, match }: Event, known: NoticeDoc): NoticeFinding[] {
  const now = new Map(match.matches ? match.findings.map(finding => [keyOf(finding), told(finding)]) : [])
  const said = new Map(facts.findings.map(finding => [keyOf(finding), told(finding)]))
  for (const before of known.told ?? []) {
    const key = keyOf(before)
    const is = said.get(key)
    // That one image does not show it says nothing of the study.
    const differs = before.present ? facts.on === 'study' : is?.present
    if (differs && !now.has(key)) now.set(key, is ?? { ...before, images: 0, present: false })
  }
  return facts.on === 'prediction' ? added(known.findings, now) : [...now.values()]
}

/** What one image shows is there, whatever the others say. */
function added(known: readonly NoticeFinding[], news: ReadonlyMap<string, NoticeFinding>): NoticeFinding[] {
  const all = new Map(known.map(finding => [keyOf(finding), finding]))
  for (const [key, finding] of news) {
    const before = all.get(key)
    if (before?.present === finding.present)
      all.set(key, { ...finding, images: before.images + 1, score: Math.max(before.score, finding.score) })
    else if (!before?.present) all.set(key, finding)
  }
  return [...all.values()]
}

/** Scores may differ: nobody does anything else for a score of 0.93 instead of 0.91. */
function saysTheSame(known: NoticeDoc, findings: readonly NoticeFinding[], priority: NoticeDoc['priority']): boolean {
  const said = (all: readonly NoticeFinding[]) =>
    JSON.stringify(
      all
        .filter(({ present }) => present)
        .map(keyOf)
        .toSorted(),
    )
  return known.priority === priority && said(known.findings) === said(findings)
}

function changesOf(before: NoticeDoc, after: NoticeDoc): string[] {
  const was = new Set(before.told?.filter(({ present }) => present).map(keyOf))
  const is = after.findings.filter(({ present }) => present)
  const now = new Set(is.map(keyOf))
  const gone = (before.told ?? []).filter(finding => finding.present && !now.has(keyOf(finding)))
  const from = before.toldPriority ?? before.priority
  return [
    ...is.filter(finding => !was.has(keyOf(finding))).map(finding => `new: ${wordsOf(finding)}`),
    ...gone.map(finding => `no longer found: ${wordsOf(finding)}`),
    ...(from === after.priority ? [] : [`priority: ${from}, now ${after.priority}`]),
  ]
}

const wordsOf = ({ label, model, group }: NoticeFinding): string =>
  [label, group, label.toLowerCase() === model.toLowerCase() ? null : `(${model})`]
    .filter(part => part !== null)
    .join(' ')

function titleOf({ title, acknowledge }: Rule, findings: readonly NoticeFinding[]): string {
  if (title !== null) return title
  const labels = [...new Set(findings.flatMap(({ label, present }) => (present ? [label] : [])))]
  const what = labels.length === 0 ? 'nothing found' : labels.join(', ')
  return acknowledge === null ? what : `critical: ${what}`
}
