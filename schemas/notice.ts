/**
 * A notification as it is kept: all that one rule of the settings says of one study (or event), to whom, and what became
 * of it. Shared by all who notify, and moved on by compare-and-set.
 *
 * ```
 *   held ─▶ sending ─▶ settling ─▶ settled          an acknowledgement settles it from anywhere
 *    ▲         ▲ └──▶ awaiting ──▶ settling
 *    │         └─────────┘ nobody acknowledged within the time: the next of the chain
 *    └── any: what is said has changed (the next edition), or a recipient is to be told later
 * ```
 *
 * held: until a recipient's time. sending: a process is at it until `dueAt`. awaiting: an acknowledgement, until `dueAt`.
 * settling: over, and its last steps are still to be put on the log.
 */
import { ids } from './ids.ts'
import type { Priority } from './topics/instances.ts'
import type { NotificationStep } from './topics/notifications.ts'

export const noticePhases = ['held', 'sending', 'awaiting', 'settling', 'settled'] as const
export type NoticePhase = (typeof noticePhases)[number]
/** There is something to do yet. */
export const openPhases = noticePhases.filter(phase => phase !== 'settled')

export const noticeOutcomes = ['told', 'acknowledged', 'unanswered', 'failed', 'nobody', 'withdrawn'] as const
export type NoticeOutcome = (typeof noticeOutcomes)[number]

/** A finding as recipients are told of it. */
export interface NoticeFinding {
  model: string
  version: string
  label: string
  present: boolean
  /** 0..1 */
  score: number
  /** Side or series. */
  group: string | null
  /** Images that say so. */
  images: number
}

/** One recipient by one channel. */
export interface NoticeTarget {
  person: string
  channel: string
  edition: number
  /** 0: those of the rule; 1, 2 …: of its chain. */
  step: number
  state: 'waiting' | 'sent' | 'failed'
  /** Not before; ms since the epoch. */
  dueAt: number
  /** Why it waits: quiet-hours, grouping, rate-limit, failed before. */
  why: string | null
  /** Times that it was tried and failed. */
  tries: number
}

export const noticeEvents = [
  'held',
  'sent',
  'failed',
  'nobody',
  'changed',
  'seen',
  'acknowledged',
  'escalated',
  'unanswered',
] as const

export interface NoticeTrail {
  what: (typeof noticeEvents)[number]
  who: string | null
  /** Of the settings; `page` or `link` for what a person did there. */
  channel: string | null
  detail: string | null
  edition: number
  at: number
}

export interface NoticeDoc {
  id: string
  /** Each write is of the next one, and of exactly one writer. */
  version: number
  phase: NoticePhase
  /** When to look at it next; once settled, when that was; ms since the epoch. */
  dueAt: number
  rule: string
  /** Must be acknowledged. */
  critical: boolean
  title: string
  study: string
  site: string
  patient: string | null
  modality: string | null
  priority: Priority
  /** The event that it tells of, the newest. */
  subject: string
  /** An image that shows it. */
  instance: string | null
  revision: number | null
  edition: number
  findings: NoticeFinding[]
  /** What recipients were told last; null: nothing yet. */
  told: NoticeFinding[] | null
  toldPriority: Priority | null
  /** What is new against that, in words. */
  changes: string[]
  step: number
  /** The claim under which it is being sent: of one process, and one only of its. */
  owner: string | null
  targets: NoticeTarget[]
  outcome: NoticeOutcome | null
  acknowledgedBy: string | null
  acknowledgedAt: number | null
  trail: NoticeTrail[]
  /** So many of the trail are on the log. */
  published: number
  createdAt: number
}

/** How many messages someone got, and when. */
export interface NoticeBudgetDoc {
  /** The person. */
  id: string
  version: number
  /** Oldest first, ms since the epoch. */
  times: number[]
  updatedAt: number
}

/** A browser that asked to be told; `sealed` holds its subscription, whose address works like a password. */
export interface PushTargetDoc {
  id: string
  person: string
  sealed: string
  createdAt: number
}

/** A step as it is added: of the edition that there is, unless it says another. */
type NewStep = Omit<NoticeTrail, 'edition'> & Partial<Pick<NoticeTrail, 'edition'>>

/** Adds to the trail, which only grows: its numbers are the ids of the steps on the log. */
export function withTrail(notice: NoticeDoc, ...steps: NewStep[]): NoticeDoc {
  return { ...notice, trail: [...notice.trail, ...steps.map(step => ({ edition: notice.edition, ...step }))] }
}

/** Whether someone may still say that they have it: late is better than never. */
export const mayAcknowledge = ({ critical, outcome }: NoticeDoc): boolean =>
  critical && outcome !== 'acknowledged' && outcome !== 'withdrawn'

/** @returns the same where it was acknowledged before; the first counts */
export function acknowledge(notice: NoticeDoc, who: string, channel: string, at: number): NoticeDoc {
  if (!mayAcknowledge(notice)) return notice
  const step = { what: 'acknowledged' as const, who, channel, detail: null, at }
  return {
    ...withTrail(notice, step),
    ...{ phase: 'settling', dueAt: at, owner: null, outcome: 'acknowledged', acknowledgedBy: who, acknowledgedAt: at },
  }
}

/** Once a person and edition. */
export function seen(notice: NoticeDoc, who: string, at: number): NoticeDoc {
  const before = ({ what, who: by, edition }: NoticeTrail) =>
    what === 'seen' && by === who && edition === notice.edition
  if (notice.trail.some(before)) return notice
  const marked = withTrail(notice, { what: 'seen', who, channel: 'page', detail: null, at })
  // Looked at again at once, so that the step gets onto the log.
  return notice.phase === 'settled' ? { ...marked, phase: 'settling', dueAt: at } : marked
}

/** Step `number` of the trail as it stands on the log. */
export function stepOf(notice: NoticeDoc, number: number): NotificationStep | undefined {
  const step = notice.trail[number]
  if (!step) return undefined
  const { id, study, site, rule, critical, title, priority } = notice
  const { what, who, channel, edition, at } = step
  return {
    ...{ id: ids.noticeStep(id, number), notification: id, study, site, rule, what, who, channel, edition },
    ...{ critical, title, priority, at },
  }
}
