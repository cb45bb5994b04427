/** Whether a rule takes an event, and why: the same answer for what is sent and for the tester. */
import type { FindingCondition, Rule } from './config-people.ts'
import type { FactFinding, Facts } from './facts.ts'
import { within } from './hours.ts'

export interface Check {
  /** Setting of the rule. */
  what: string
  ok: boolean
  why: string
}

export interface Match {
  checks: Check[]
  matches: boolean
  /** Those that the rule is about. */
  findings: FactFinding[]
}

/** Rules look at what production says, while it is new. */
export function heedOf({ role, at }: Facts, now: number, maxAgeMs: number): Check[] {
  const age = now - at
  return [
    check('role', role === null || role === 'production', role ?? 'a study'),
    check('maxAgeMs', age <= maxAgeMs, `it is ${Math.max(0, Math.round(age / 1000))} s old`),
  ]
}

export function matchOf(rule: Rule, facts: Facts, now: number, timeZone: string): Match {
  const conditions = [
    check('on', rule.on === facts.on, `the event is a ${facts.on}`),
    oneOf('sites', rule.sites, facts.site),
    oneOf('modalities', rule.modalities, facts.modality),
    oneOf('priorities', rule.priorities, facts.priority),
    check(
      'models',
      rule.models.length === 0 || facts.findings.some(finding => names(rule.models, finding)),
      `said by ${facts.findings.map(({ model, version }) => `${model}@${version}`).join(', ') || 'none'}`,
    ),
    check(
      'hours',
      rule.hours.length === 0 || within(rule.hours, now, timeZone),
      `it is ${timeText(now, timeZone)} (${timeZone})`,
    ),
  ]
  const findings = facts.findings.filter(finding =>
    rule.findings.length === 0
      ? finding.present && (rule.models.length === 0 || names(rule.models, finding))
      : rule.findings.some(condition => fits(condition, finding)),
  )
  const found = rule.findings.length === 0 || findings.length > 0
  const said = findings.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(', ')
  const why = rule.findings.length === 0 ? 'any' : found ? said : 'none fits'
  const checks = [...conditions, check('findings', found, why)]
  return { checks, matches: checks.every(({ ok }) => ok), findings }
}

const check = (what: string, ok: boolean, why: string): Check => ({ what, ok, why })

function oneOf(what: string, allowed: readonly string[], value: string | null): Check {
  return check(what, allowed.length === 0 || (value !== null && allowed.includes(value)), value ?? 'not said')
}

const names = (models: readonly string[], { model, version }: FactFinding): boolean =>
  models.includes(model) || models.includes(`${model}@${version}`)

function fits({ labels, models, present, minScore }: FindingCondition, finding: FactFinding): boolean {
  return (
    (labels.length === 0 || labels.includes(finding.label)) &&
    (models.length === 0 || names(models, finding)) &&
    (present === null || finding.present === present) &&
    finding.score >= minScore
  )
}

export function timeText(at: number, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, dateStyle: 'medium', timeStyle: 'short' }).format(at)
}
