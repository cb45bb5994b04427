/** How a notification moves from phase to phase (schemas/notice.ts draws them). Pure. */
import { type NoticeDoc, type NoticeTarget, withTrail } from '../../schemas/notice.ts'
import type { NotifyConfig } from './config.ts'
import type { Rule } from './config-people.ts'
import { earliest, withVacant } from './notice.ts'
import { namesOf, recipientsOf } from './recipients.ts'

export interface Around {
  config: NotifyConfig
  rule: Rule
  now: number
}

/** What became of one target; `later`: it may not be told before. */
export type Result = 'sent' | 'failed' | { later: number }
export type Results = readonly { target: NoticeTarget; result: Result }[]

const firstRetryMs = 30_000
const longestRetryMs = 600_000
const retryAt = (tries: number, now: number): number => now + Math.min(longestRetryMs, firstRetryMs * 2 ** (tries - 1))

/** Due targets are the claim's to tell until the lease is over. @param owner the claim, another each time */
export function claim(notice: NoticeDoc, { config, now }: Pick<Around, 'config' | 'now'>, owner: string): NoticeDoc {
  const { findings, priority } = notice
  return { ...notice, phase: 'sending', owner, dueAt: now + config.leaseMs, told: findings, toldPriority: priority }
}

export const dueTargets = ({ targets, edition }: NoticeDoc, now: number): NoticeTarget[] =>
  targets.filter(target => target.edition === edition && target.state === 'waiting' && target.dueAt <= now)

const sameTarget = (a: NoticeTarget, b: NoticeTarget): boolean =>
  a.person === b.person && a.channel === b.channel && a.edition === b.edition && a.step === b.step

/** After sending: what became of each is kept, whatever else has happened to the notification meanwhile. */
export function afterSending(notice: NoticeDoc, results: Results, around: Around, owner: string | null): NoticeDoc {
  const { now } = around
  const steps = results.flatMap(({ target, result }) => {
    const { person: who, channel, edition, tries } = target
    // That someone cannot be reached is said once, however often it is tried.
    const said = typeof result === 'object' || (result === 'failed' && tries > 0)
    return said ? [] : [{ what: result, who, channel, detail: null, edition, at: now }]
  })
  const kept = withTrail(notice, ...steps)
  if (notice.phase !== 'sending' || notice.owner !== owner) {
    // Acknowledged, or changed: what was sent stays sent, and goes onto the log.
    return kept.phase === 'settled' ? { ...kept, phase: 'settling', dueAt: now } : kept
  }
  const targets = kept.targets.map(target => {
    const result = results.find(one => sameTarget(one.target, target))?.result
    return result === undefined ? target : withResult(target, result, around)
  })
  const reached = results.some(({ result }) => result === 'sent')
  return goOn({ ...kept, targets, owner: null }, reached, around)
}

function withResult(target: NoticeTarget, result: Result, { config, rule, now }: Around): NoticeTarget {
  if (typeof result === 'object') return { ...target, dueAt: result.later, why: 'rate-limit' }
  if (result === 'sent') return { ...target, state: 'sent', why: null }
  const tries = target.tries + 1
  // Of a critical result the next one is told instead, at once.
  if (rule.acknowledge !== null || tries >= config.tries) return { ...target, state: 'failed', tries }
  return { ...target, tries, dueAt: retryAt(tries, now), why: 'not reached before' }
}

/** @param reached someone was told just now */
function goOn(notice: NoticeDoc, reached: boolean, around: Around): NoticeDoc {
  const { rule, now } = around
  const mine = notice.targets.filter(({ edition }) => edition === notice.edition)
  const waiting = mine.filter(({ state }) => state === 'waiting')
  if (waiting.length > 0) return { ...notice, phase: 'held', dueAt: earliest(waiting, now) }
  if (notice.critical && rule.acknowledge) {
    if (reached) return { ...notice, phase: 'awaiting', dueAt: now + rule.acknowledge.withinMs }
    return escalate(notice, mine.length === 0 ? 'nobody to tell' : 'nobody was reached', around)
  }
  const outcome = mine.some(({ state }) => state === 'sent') ? 'told' : mine.length === 0 ? 'nobody' : 'failed'
  return { ...notice, phase: 'settling', dueAt: now, outcome }
}

/**
 * To the next of the chain. At its end: someone who was told did not answer, and that is how it ends; where nobody was
 * reached at all, everyone is tried again and again, with whoever has a role by then.
 */
export function escalate(notice: NoticeDoc, why: string, around: Around): NoticeDoc {
  const { config, rule, now } = around
  const step = notice.step + 1
  const next = namesOf(rule, step)
  if (next) {
    const { site, edition } = notice
    const { targets, vacant } = recipientsOf(config, { rule, site, stat: true, edition, step, now })
    const due = targets.map(target => ({ ...target, dueAt: now, why: null }))
    const passed = { ...notice, phase: 'held' as const, dueAt: now, step, targets: [...notice.targets, ...due] }
    const said = { what: 'escalated' as const, who: next.join(', '), channel: null, detail: why, at: now }
    return withVacant(withTrail(passed, said), vacant, now)
  }
  const mine = notice.targets.filter(({ edition }) => edition === notice.edition)
  if (mine.every(({ state }) => state !== 'sent')) return allAgain(notice, mine, around)
  const said = { what: 'unanswered' as const, who: null, channel: null, detail: why, at: now }
  return withTrail({ ...notice, phase: 'settling', dueAt: now, outcome: 'unanswered' }, said)
}

/** All who were tried, and whoever has a role by now that somebody else had then, or nobody. */
function allAgain(notice: NoticeDoc, mine: readonly NoticeTarget[], around: Around): NoticeDoc {
  const { now } = around
  const others = onDutyNow(notice, mine, around)
  // Somebody new is told at once, with all others once more: told at another time, one would use up the other's time to answer.
  // Who was tried waits longer each time; without anybody, the rota is looked at again.
  const tries = mine.map(one => one.tries)
  const dueAt = others.length > 0 ? now : tries.length > 0 ? retryAt(Math.min(...tries), now) : now + longestRetryMs
  const again = (target: NoticeTarget): NoticeTarget =>
    mine.includes(target) ? { ...target, state: 'waiting', dueAt, why: 'not reached before' } : target
  const targets = [...notice.targets.map(again), ...others.map(target => ({ ...target, dueAt, why: null }))]
  const held = { ...notice, phase: 'held' as const, dueAt, targets }
  if (others.length === 0) return held
  const who = [...new Set(others.map(({ person }) => person))].join(', ')
  return withTrail(held, { what: 'escalated', who, channel: null, detail: 'has the role now', at: now })
}

/** Of the rule and all of its chain, at this time: each that was not tried, once. */
function onDutyNow(notice: NoticeDoc, mine: readonly NoticeTarget[], around: Around): NoticeTarget[] {
  const { config, rule, now } = around
  const { site, edition } = notice
  const steps = Array.from({ length: notice.step + 1 }, (_, step) => step)
  const all = steps.flatMap(step => recipientsOf(config, { rule, site, stat: true, edition, step, now }).targets)
  const known = new Set(mine.map(keyOf))
  return all.filter(target => !known.has(keyOf(target)) && known.add(keyOf(target)))
}

const keyOf = ({ person, channel }: NoticeTarget): string => `${person} ${channel}`

/** The settings do not know its rule any more. */
export function withdraw(notice: NoticeDoc, now: number): NoticeDoc {
  const said = { what: 'changed' as const, who: null, channel: null, detail: 'the rule is gone', at: now }
  return withTrail({ ...notice, phase: 'settling', dueAt: now, outcome: 'withdrawn', owner: null }, said)
}

/**
 * When it is due at the latest, by its phase: what lies farther ahead was said by a clock that was put back since.
 * @returns ms since the epoch
 */
export function longestWait({ phase, rule: name, targets }: NoticeDoc, config: NotifyConfig, now: number): number {
  const rule = config.rules.find(one => one.name === name)
  if (phase === 'sending') return now + config.leaseMs
  if (phase === 'awaiting') return now + (rule?.acknowledge?.withinMs ?? 0)
  if (phase !== 'held') return now
  const grouping = targets.some(({ state, why }) => state === 'waiting' && why === 'grouping')
  return now + (grouping ? (rule?.groupMs ?? 0) : longestRetryMs)
}

/** @returns the same where it is due by then. Quiet hours and limits are times of the day: who waits for them still does. */
export function notLaterThan(notice: NoticeDoc, longest: number): NoticeDoc {
  if (notice.dueAt <= longest) return notice
  const targets = notice.targets.map(target => {
    const keeps = target.state !== 'waiting' || target.why === 'quiet-hours' || target.why === 'rate-limit'
    return keeps || target.dueAt <= longest ? target : { ...target, dueAt: longest }
  })
  return { ...notice, dueAt: longest, targets }
}
