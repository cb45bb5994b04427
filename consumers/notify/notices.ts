/**
 * Moves notifications on. Every move is a compare-and-set, so any number of replicas may try: one is let. What a crash
 * leaves behind is found by its time: deliveries are claimed by id, so whoever goes on knows what was sent, and marks what
 * may have been.
 */
import type { Ports } from '../../kafka/ports.ts'
import type { Publish } from '../../kafka/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { type AuditAction, auditEntry } from '../../schemas/audit.ts'
import { type NoticeDoc, type NoticeTarget, type NoticeTrail, stepOf } from '../../schemas/notice.ts'
import { topics } from '../../schemas/topics.ts'
import { allOf } from '../../storage/documents.ts'
import type { Budget } from './budget.ts'
import type { NotifyConfig } from './config.ts'
import type { Rule } from './config-people.ts'
import type { Facts } from './facts.ts'
import { matchOf } from './match.ts'
import { afterSending, claim, dueTargets, escalate, longestWait, notLaterThan, type Result, withdraw } from './moves.ts'
import { noticeIdOf, withEvent } from './notice.ts'
import { timeZoneOf } from './recipients.ts'

export interface NoticesOptions {
  documents: Ports['documents']
  publish: Publish<typeof topics.audit | typeof topics.notifications>
  clock: Clock
  config: NotifyConfig
  budget: Budget
  /** Of this process. */
  owner: string
  send(notice: NoticeDoc, target: NoticeTarget, signal: AbortSignal): Promise<'sent' | 'failed'>
}

const audited: Partial<Record<NoticeTrail['what'], AuditAction>> = {
  sent: 'result-sent',
  failed: 'result-not-sent',
  nobody: 'result-not-sent',
  seen: 'result-seen',
  acknowledged: 'result-acknowledged',
  escalated: 'result-escalated',
  unanswered: 'result-unanswered',
}

export class Notices {
  readonly #options: NoticesOptions

  constructor(options: NoticesOptions) {
    this.#options = options
  }

  /** What a rule says of an event is kept, and told as far as it is due. Safe twice. */
  async tell(rule: Rule, facts: Facts, signal: AbortSignal): Promise<void> {
    const { documents, clock, config, owner } = this.#options
    const id = noticeIdOf(rule, facts)
    for (;;) {
      const now = clock.now()
      const match = matchOf(rule, facts, now, timeZoneOf(config, facts.site))
      const known = await documents.get('notices', id)
      const next = withEvent({ config, rule, facts, match, now }, known)
      if (!next) return
      if (known) {
        const kept = next === known ? known : await this.#move(next)
        if (kept) return this.consider(kept, signal)
        continue
      }
      // Begun and claimed by one write: it is on its way the sooner.
      const first = next.dueAt <= now ? claim(next, { config, now }, `${owner} ${next.version}`) : next
      if (!(await documents.insert('notices', first))) continue
      return first.phase === 'sending' ? this.#sendAndGoOn(first, rule, signal) : this.consider(first, signal)
    }
  }

  /** Does what there is to do now. Safe at any moment, by anyone, twice. */
  async consider(known: NoticeDoc, signal: AbortSignal): Promise<void> {
    for (let notice: NoticeDoc | undefined = known; notice && !signal.aborted; ) {
      const next = await this.#step(notice, signal)
      if (next === 'rest') return
      notice = next ?? (await this.#options.documents.get('notices', known.id))
    }
  }

  async considerDue({ id }: NoticeDoc, signal: AbortSignal): Promise<void> {
    const { documents, clock } = this.#options
    const notice = await documents.get('notices', id)
    if (notice && notice.phase !== 'settled' && notice.dueAt <= clock.now()) await this.consider(notice, signal)
  }

  /**
   * Times of before a clock was put back lie too far ahead: nobody waits for longer than from now on. By whoever finds it at
   * the start, or sees its own clock go back. What is held and need not be answered keeps its time: quiet hours are times of
   * the day, and at night very many may wait for them.
   */
  async bringForward(): Promise<void> {
    const { documents, config, clock } = this.#options
    const now = clock.now()
    const dueAt = { gte: now + config.leaseMs + 1 }
    const critical = config.rules.flatMap(({ name, acknowledge }) => (acknowledge ? [name] : []))
    const begun = await allOf(documents, 'notices', { phase: { in: ['sending', 'awaiting', 'settling'] }, dueAt })
    const held = await allOf(documents, 'notices', { phase: 'held', rule: { in: critical }, dueAt })
    for (const notice of [...begun, ...held.filter(({ critical }) => critical)]) {
      const sooner = notLaterThan(notice, longestWait(notice, config, now))
      // Where another has moved it meanwhile, that was with the clock of now.
      if (sooner !== notice) await this.#move(sooner)
    }
  }

  /** @returns after a move what is kept now; undefined when another was first; `rest` when there is nothing to do now */
  async #step(notice: NoticeDoc, signal: AbortSignal): Promise<NoticeDoc | undefined | 'rest'> {
    const { config, clock, owner } = this.#options
    const now = clock.now()
    if (notice.phase === 'settled') return 'rest'
    if (notice.phase === 'settling') return this.#move({ ...(await this.#published(notice)), phase: 'settled' })
    if (notice.dueAt > now) {
      // Before it rests, however long: what is due is not held up by a log that is away.
      if (notice.phase === 'sending' || notice.published === notice.trail.length) return 'rest'
      return this.#move(await this.#published(notice))
    }
    const rule = config.rules.find(({ name }) => name === notice.rule)
    if (!rule) return this.#move(withdraw(notice, now))
    if (notice.phase === 'awaiting')
      return this.#move(escalate(notice, 'not acknowledged within the time', { config, rule, now }))
    // A version is written once, so no two claims are the same.
    const mine = await this.#move(claim(notice, { config, now }, `${owner} ${notice.version + 1}`))
    if (!mine) return undefined
    await this.#sendAndGoOn(mine, rule, signal)
    return 'rest'
  }

  async #sendAndGoOn(notice: NoticeDoc, rule: Rule, signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#options
    const due = dueTargets(notice, clock.now())
    const done = new AbortController()
    const beating = this.#beat(notice, AbortSignal.any([signal, done.signal]))
    const outcomes = await Promise.allSettled(due.map(target => this.#result(notice, target, signal)))
    done.abort(new Error('sent'))
    await beating
    const results = outcomes.flatMap((outcome, at) => {
      const target = due[at]
      return outcome.status === 'fulfilled' && target ? [{ target, result: outcome.value }] : []
    })
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    const now = () => ({ config, rule, now: clock.now() })
    const kept = await this.#keep(notice.id, known => afterSending(known, results, now(), notice.owner))
    if (kept) await this.consider(kept, signal)
  }

  async #result(notice: NoticeDoc, target: NoticeTarget, signal: AbortSignal): Promise<Result> {
    const { budget, config, send } = this.#options
    const limit = config.people.find(({ name }) => name === target.person)?.mostPerHour ?? null
    const later = notice.critical || limit === null ? null : await budget(target, limit, notice)
    return later === null ? send(notice, target, signal) : { later }
  }

  /** A sign of life, until the signal: nobody else begins to send what is being sent. */
  async #beat({ id, owner }: NoticeDoc, signal: AbortSignal): Promise<void> {
    const { clock, config } = this.#options
    while (!signal.aborted) {
      const over = await clock.sleep(config.leaseMs / 3, signal).then(
        () => false,
        () => true,
      )
      if (over) return
      const longer = (known: NoticeDoc): NoticeDoc =>
        known.phase === 'sending' && known.owner === owner ? { ...known, dueAt: clock.now() + config.leaseMs } : known
      // Where the store is away the lease runs out, and what is sent twice then is marked.
      await this.#keep(id, longer).catch(() => undefined)
    }
  }

  async #keep(id: string, change: (notice: NoticeDoc) => NoticeDoc): Promise<NoticeDoc | undefined> {
    for (;;) {
      const known = await this.#options.documents.get('notices', id)
      if (!known) return undefined
      const next = change(known)
      if (next === known) return known
      const kept = await this.#move(next)
      if (kept) return kept
    }
  }

  async #move(notice: NoticeDoc): Promise<NoticeDoc | undefined> {
    const next = { ...notice, version: notice.version + 1 }
    return (await this.#options.documents.advance('notices', next)) ? next : undefined
  }

  /** Puts the steps on the log that are not there yet; those of critical results are audited. Twice they are the same. */
  async #published(notice: NoticeDoc): Promise<NoticeDoc> {
    const { publish } = this.#options
    for (const [number, said] of notice.trail.entries()) {
      const step = number < notice.published ? undefined : stepOf(notice, number)
      if (!step) continue
      await publish(topics.notifications, step)
      const action = audited[said.what]
      if (notice.critical && action) await publish(topics.audit, auditOf(notice, said, action, step.id))
    }
    return { ...notice, published: notice.trail.length }
  }
}

function auditOf(notice: NoticeDoc, step: NoticeTrail, action: AuditAction, key: string) {
  const detail = {
    rule: notice.rule,
    edition: String(step.edition),
    channel: step.channel ?? undefined,
    patient: notice.patient ?? undefined,
    reason: step.detail ?? undefined,
  }
  const outcome = action === 'result-not-sent' || action === 'result-unanswered' ? 'failure' : 'success'
  const said = { action, actor: step.who ?? 'raylog', object: notice.id, outcome, address: '', detail } as const
  return auditEntry(said, step.at, key)
}
