import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acknowledge } from '../../schemas/notice.ts'
import { noticeTokenPurpose, readNoticeToken } from '../../schemas/notice-token.ts'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, began } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { type MailServer, startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'

const closing: (() => PromiseLike<unknown>)[] = []
let stores: Stores
let mail: MailServer
beforeEach(async () => {
  stores = await openStores()
  closing.push(() => stores.close())
  mail = await startMail()
  closing.push(() => mail[Symbol.asyncDispose]())
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const finding = anAssessment(1).findings[0] ?? expect.unreachable('no finding')
const noon = began + 12 * 3_600_000
const study = (over: object = {}) => anAssessment(1, { completedAt: noon, assessedAt: noon, ...over })
const minute = 60_000
const lookMs = 500

const settings = (over: object = {}) => ({
  channels: [
    { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
  ],
  people: ['martin', 'senior', 'chief'].map(name => ({
    name,
    reach: [{ channel: 'mail', address: `${name}@h.example` }],
    quiet: [{}],
    mostPerHour: 1,
  })),
  roles: [
    { name: 'senior-on-call', shifts: [{ people: ['senior'] }] },
    { name: 'nobody-on-call', shifts: [{ days: ['sun'], people: ['senior'] }] },
  ],
  rules: [
    {
      name: 'critical',
      findings: [{ labels: ['pneumonia'] }],
      to: ['martin'],
      acknowledge: { withinMs: 10 * minute, chain: ['nobody-on-call', 'senior-on-call', 'chief'] },
    },
  ],
  attempts: 1,
  lookMs,
  linkBase: 'https://raylog.h.example',
  ...over,
})

async function open(config: object, clock = new HandClock(noon)) {
  const stage = await openNotify(stores, config, { clock })
  closing.push(() => stage.close())
  return { ...stage, clock }
}
/** Who was told of a study. */
const to = (id = study().study) =>
  mail.mails.filter(({ raw }) => raw.includes(`/worklist/${id}`)).map(one => one.to.join().split('@')[0])
async function one() {
  const { items } = await stores.documents.find('notices', { where: { study: study().study } })
  return items[0] ?? expect.unreachable('no notification')
}
/** Another study, critical too. */
const other = (at: number) => anAssessment(2, { completedAt: at, assessedAt: at })
/** Time goes by while the stage waits for its next look: one that is looking just then would not see it, and sleep on. */
async function pass(clock: HandClock, ms: number) {
  await until('the stage waits for its next look', () => clock.sleeping.includes(lookMs))
  clock.move(ms)
}
/** Another study goes from one to the next: what was due before has been looked at by then, and what came of it is sent. */
async function timeGoesOn({ hand, clock }: Awaited<ReturnType<typeof open>>) {
  const next = other(clock.now())
  await hand(topics.studies, next)
  for (const who of ['senior', 'chief'])
    await until(`${who} is told of the other`, () => {
      if (to(next.study).includes(who)) return true
      clock.move(minute)
      return undefined
    })
}
/** As the gateway does it. */
async function acknowledgedBy(who: string, at: number) {
  const notice = await one()
  await stores.documents.advance('notices', { ...acknowledge(notice, who, 'page', at), version: notice.version + 1 })
}

describe('a critical result', () => {
  it('goes from one to the next until someone acknowledges it, and the trail says all of it', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, study())
    expect(to(), 'quiet hours do not hold it').toEqual(['martin'])
    expect(mail.mails[0]?.header('subject')).toBe('CRITICAL RESULT: critical: pneumonia')
    expect(await one()).toMatchObject({ phase: 'awaiting', dueAt: noon + 10 * minute })

    await pass(stage.clock, 10 * minute)
    await until('the next is told', () => mail.mails.length === 2)
    expect(to(), 'a role that nobody has is passed over').toEqual(['martin', 'senior'])
    const awaiting = await stage.phase('awaiting')
    expect(awaiting).toMatchObject({ step: 2, dueAt: noon + 20 * minute })
    await acknowledgedBy('senior', noon + 12 * minute)
    await pass(stage.clock, 2 * minute)
    await stage.settled('acknowledged')
    await timeGoesOn(stage)
    expect(to()).toEqual(['martin', 'senior'])
    const { id } = await one()
    const audit = stage.audit.filter(({ object }) => object === id)
    expect(audit.map(({ action, actor }) => `${action} ${actor}`)).toEqual([
      'result-sent martin',
      'result-escalated nobody-on-call',
      'result-not-sent nobody-on-call',
      'result-escalated senior-on-call',
      'result-sent senior',
      'result-acknowledged senior',
    ])
    expect(new Set(audit.map(({ id }) => id)).size).toBe(6)
    expect(audit[0]).toMatchObject({ object: id, detail: { rule: 'critical', channel: 'mail' } })
  })

  it('is not passed on a millisecond before its time', async () => {
    const stage = await open(settings())
    const older = other(noon)
    await stage.hand(topics.studies, older)
    stage.clock.move(minute)
    await stage.hand(topics.studies, study())
    await pass(stage.clock, 10 * minute - 1)
    await until('the other, a minute older, is passed on', () => to(older.study).includes('senior'))
    expect(await one()).toMatchObject({ phase: 'awaiting', step: 0, dueAt: stage.clock.now() + 1 })
    await until('it is passed on', () => {
      stage.clock.move(1_000)
      return to().includes('senior')
    })
  })

  it('that nobody acknowledges ends as such, and may still be acknowledged', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, study())
    for (const count of [2, 3]) {
      await stage.phase('awaiting')
      await pass(stage.clock, 10 * minute)
      await until('the next is told', () => mail.mails.length === count)
    }
    await stage.phase('awaiting')
    await pass(stage.clock, 10 * minute)
    await stage.settled('unanswered')
    expect(to()).toEqual(['martin', 'senior', 'chief'])
    expect(stage.audit.at(-1)).toMatchObject({ action: 'result-unanswered', outcome: 'failure' })
    await acknowledgedBy('chief', noon + 60 * minute)
    await pass(stage.clock, 31 * minute)
    await stage.settled('acknowledged')
  })

  it('goes to the next at once where someone cannot be reached, and on and on where nobody can', async () => {
    let up = false
    const down = await startMail({}, () => (up ? null : { code: 550, text: 'no such user' }))
    closing.push(() => down[Symbol.asyncDispose]())
    const config = settings()
    const channels = config.channels.map(channel => ({ ...channel, port: down.port }))
    const stage = await open({ ...config, channels, restAfter: 100 })
    await stage.hand(topics.studies, study())
    const notice = await one()
    expect(notice.phase).toBe('held')
    expect(notice.targets.map(({ person, state }) => [person, state])).toEqual([
      ['martin', 'waiting'],
      ['senior', 'waiting'],
      ['chief', 'waiting'],
    ])
    up = true
    await pass(stage.clock, minute / 2)
    await stage.phase('awaiting')
    expect(down.mails.map(one => one.to.join())).toHaveLength(3)
  })

  it('that reaches nobody is on log and audit at once, and once, however often it is tried', async () => {
    const down = await startMail({}, () => ({ code: 550, text: 'no such user' }))
    closing.push(() => down[Symbol.asyncDispose]())
    const config = settings()
    const channels = config.channels.map(channel => ({ ...channel, port: down.port }))
    const stage = await open({ ...config, channels, restAfter: 100 })
    await stage.hand(topics.studies, study())
    const said = [
      'result-not-sent martin',
      'result-escalated nobody-on-call',
      'result-not-sent nobody-on-call',
      'result-escalated senior-on-call',
      'result-not-sent senior',
      'result-escalated chief',
      'result-not-sent chief',
    ]
    const audit = () => stage.audit.map(({ action, actor }) => `${action} ${actor}`)
    expect(audit(), 'while it is held').toEqual(said)
    const again = await until('all were tried several times', async () => {
      const notice = await one()
      if (notice.phase === 'held' && notice.targets.every(({ tries }) => tries > 3)) return notice
      stage.clock.move(minute)
      return undefined
    })
    expect(again.trail).toHaveLength(said.length)
    expect(audit()).toEqual(said)
    expect(stage.steps).toHaveLength(said.length)
  })

  it('that says more while it is being sent is sent once of each edition', async () => {
    const held: (() => void)[] = []
    const slow = await startMail({ onMailFrom: (_from, _session, done) => void held.push(() => done()) })
    closing.push(() => slow[Symbol.asyncDispose]())
    const config = settings()
    const channels = config.channels.map(channel => ({ ...channel, port: slow.port }))
    const rules = config.rules.map(rule => ({ ...rule, findings: [] }))
    const stage = await open({ ...config, channels, rules })
    const first = stage.hand(topics.studies, study())
    await until('the first is on its way', () => held.length === 1)
    const more = { revision: 2, id: 'sr_2', findings: [finding, { ...finding, label: 'effusion' }] }
    const second = stage.hand(topics.studies, study(more))
    await until('so is the second', () => held.length === 2)
    held[0]?.()
    await until('the first is sent', async () => (await one()).trail.some(({ what }) => what === 'sent'))
    expect((await one()).phase, 'the second still is').toBe('sending')
    held[1]?.()
    await Promise.all([first, second])
    expect(slow.mails.map(one => one.header('X-Raylog-Redelivered'))).toEqual([undefined, undefined])
    const { trail, phase } = await one()
    expect(phase).toBe('awaiting')
    expect(trail.map(({ what, edition }) => [what, edition])).toEqual([
      ['changed', 2],
      ['sent', 1],
      ['sent', 2],
    ])
  })

  it('that a process began to send and was killed is sent by another, marked as a repeat', async () => {
    const clock = new HandClock(noon)
    const silent = await startMail({ onConnect: () => undefined })
    closing.push(() => silent[Symbol.asyncDispose]())
    const config = settings()
    const channels = config.channels.map(channel => ({ ...channel, port: silent.port }))
    const first = await openNotify(stores, { ...config, channels }, { clock })
    const stop = new AbortController()
    const handed = first.hand(topics.studies, study(), { signal: stop.signal })
    await until('it is being sent', async () => (await stores.documents.find('deliveries')).items.length === 1)
    stop.abort(new Error('killed'))
    await expect(handed).rejects.toThrow('killed')
    await first.close()
    expect(await one()).toMatchObject({ phase: 'sending' })

    const second = await open(config, clock)
    await second.hand(topics.studies, study())
    expect(mail.mails, 'the first may live').toEqual([])
    await pass(clock, 15_000)
    await until('another sends it', () => mail.mails.length === 1)
    expect(mail.mails[0]?.header('X-Raylog-Redelivered')).toBe('true')
    expect(mail.mails[0]?.raw).toContain('This may be a repeat')
    expect(await second.phase('awaiting')).toMatchObject({ edition: 1 })
  })

  it('is escalated once, however many replicas look', async () => {
    const clock = new HandClock(noon)
    const all = await Promise.all([1, 2, 3].map(() => open(settings(), clock)))
    await Promise.all(all.map(stage => stage.hand(topics.studies, study())))
    await until('one is told', async () => (await one()).phase === 'awaiting')
    await pass(clock, 10 * minute)
    await until('the next is told', async () => mail.mails.length >= 2 && (await one()).phase === 'awaiting')
    expect(to()).toEqual(['martin', 'senior'])
    expect((await one()).trail.map(({ what }) => what)).toEqual(['sent', 'escalated', 'nobody', 'escalated', 'sent'])
  })

  it('has a link of its own for each person; another cannot be made', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, study())
    const token = /https:\/\/raylog\.h\.example\/acknowledge\/(\S+)/.exec(mail.mails[0]?.raw ?? '')?.[1] ?? ''
    const key = stores.secrets.derive(noticeTokenPurpose)
    expect(readNoticeToken(key, token)).toEqual({ notice: (await one()).id, edition: 1, person: 'martin' })
    expect(readNoticeToken(key, token.replace('martin', 'chief'))).toBeUndefined()
    expect(readNoticeToken(key, token.replace('~1~', '~2~'))).toBeUndefined()
    expect(readNoticeToken(key, `${token}~`)).toBeUndefined()
    expect(readNoticeToken(key, '')).toBeUndefined()
  })

  it('that is corrected meanwhile is told as such, and asks for no acknowledgement any more', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, study())
    const gone = [{ ...finding, present: false, score: 0.1 }]
    await stage.hand(topics.studies, study({ revision: 2, id: 'sr_2', findings: gone }))
    expect(to()).toEqual(['martin', 'martin'])
    expect(await one()).toMatchObject({ phase: 'settled', outcome: 'told', critical: false, edition: 2 })
    await timeGoesOn(stage)
    expect(to()).toEqual(['martin', 'martin'])
  })
})
