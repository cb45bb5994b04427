/** Who is told when the rota, the settings or the clock are others by the time that somebody is. */
import { describe, expect, it } from 'vitest'
import { acknowledge } from '../../schemas/notice.ts'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, began } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { ownStores } from '../../tests/harness/own-stores.ts'
import { startReceiver } from '../../tests/harness/receiver.ts'
import { until } from '../../tests/harness/until.ts'

const own = ownStores()
const minute = 60_000
const hour = 60 * minute
const lookMs = 500
const leaseMs = 15_000
/** Thursday, 1 January 2026, at noon (UTC). */
const noon = began + 12 * hour
const event = anAssessment(1, { completedAt: noon, assessedAt: noon })

/** A mail server that takes nothing while `up` is false, and a web server for chat. */
async function ends() {
  const state = { up: true }
  const mail = await startMail({}, () => (state.up ? null : { code: 550, text: 'no such user' }))
  const chat = await startReceiver()
  own.closing.push(
    () => mail[Symbol.asyncDispose](),
    () => chat[Symbol.asyncDispose](),
  )
  const channels = [
    { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
    { name: 'chat', kind: 'slack', url: chat.url },
  ]
  const to = () => mail.mails.map(one => one.to.join().split('@')[0])
  return { state, mail, chat, channels, to }
}

const person = (name: string, over: object = {}) => ({
  name,
  reach: [{ channel: 'mail', address: `${name}@h.example` }],
  ...over,
})
const onCall = [{ from: '08:00', to: '13:00', people: ['martin'] }, { people: ['nina'] }]

async function open(settings: object, clock = new HandClock(noon)) {
  const base = { people: ['martin', 'nina', 'chief'].map(name => person(name)), attempts: 1, restAfter: 100 }
  const stage = await openNotify(own.stores, { ...base, lookMs, leaseMs, ...settings }, { clock })
  own.closing.push(() => stage.close())
  const one = async () => (await own.stores.documents.find('notices')).items[0] ?? expect.unreachable('none')
  /** Time goes by while the stage waits for its next look. */
  async function pass(ms: number): Promise<void> {
    await until('the stage waits for its next look', () => clock.sleeping.includes(lookMs))
    clock.move(ms)
  }
  /** Time goes by until it is so. */
  async function passUntil(what: string, condition: () => Promise<boolean> | boolean, ms = minute): Promise<void> {
    await until(what, async () => {
      if (await condition()) return true
      if (clock.sleeping.includes(lookMs)) clock.move(ms)
      return undefined
    })
  }
  return { ...stage, clock, one, pass, passUntil }
}

describe('a critical result that reached nobody', () => {
  it('goes to who has the role by the time that somebody can be reached, with the whole time to answer', async () => {
    const { channels, state, to } = await ends()
    state.up = false
    const rules = [{ name: 'critical', to: ['on-call'], acknowledge: { withinMs: 10 * minute } }]
    const stage = await open({ channels, roles: [{ name: 'on-call', shifts: onCall }], rules })
    await stage.hand(topics.studies, event)
    await stage.passUntil('martin was tried until his shift was over', () => stage.clock.now() > noon + hour + minute)
    await stage.passUntil('nina is tried too', async () =>
      (await stage.one()).targets.some(({ person }) => person === 'nina'),
    )
    expect(to()).toEqual([])
    state.up = true
    await stage.passUntil('someone is told', async () => (await stage.one()).phase === 'awaiting')
    expect(to().toSorted(), 'martin may have left').toEqual(['martin', 'nina'])
    expect(await stage.one()).toMatchObject({ dueAt: stage.clock.now() + 10 * minute })
    expect((await stage.one()).trail.filter(({ what }) => what === 'escalated')).toMatchObject([
      { who: 'nina', detail: 'has the role now' },
    ])
    await stage.pass(10 * minute)
    await stage.settled('unanswered')
    expect(to()).toHaveLength(2)
  })

  it('because nobody had the role waits until somebody has it', async () => {
    const { channels, to } = await ends()
    const roles = [{ name: 'on-call', shifts: [{ from: '13:00', to: '14:00', people: ['nina'] }] }]
    const rules = [{ name: 'critical', to: ['on-call'], acknowledge: { withinMs: 10 * minute } }]
    const stage = await open({ channels, roles, rules })
    await stage.hand(topics.studies, event)
    await stage.passUntil('nina is told', () => to().length === 1)
    expect(to()).toEqual(['nina'])
    const told = stage.clock.now() - noon - hour
    expect(told, 'soon after her shift begins').toBeLessThanOrEqual(11 * minute)
    expect(told).toBeGreaterThanOrEqual(0)
    await stage.phase('awaiting')
    expect((await stage.one()).trail.map(({ what, who }) => [what, who])).toEqual([
      ['nobody', 'on-call'],
      ['escalated', 'nina'],
      ['sent', 'nina'],
    ])
    expect(stage.audit.map(({ action, actor }) => `${action} ${actor}`)).toEqual([
      ...['result-not-sent on-call', 'result-escalated nina', 'result-sent nina'],
    ])
  })
})

describe('someone who is not in the settings any more', () => {
  const quiet = [{ from: '11:00', to: '13:00' }]
  const gone = {
    'is gone': [person('nina')],
    'has the channel no more': [person('martin'), person('nina')],
  }
  it.each(Object.entries(gone))('who %s is told nothing that was held for them', async (_, people) => {
    const { channels, chat } = await ends()
    const rules = [{ name: 'found', to: ['martin'] }]
    const before = [person('martin', { quiet, reach: [{ channel: 'chat' }] }), person('nina')]
    const first = await open({ channels, people: before, rules })
    await first.hand(topics.studies, event)
    expect((await first.one()).phase).toBe('held')
    await first.close()
    const second = await open(
      { channels, people, rules: [{ name: 'found', to: ['nina'] }], tries: 2 },
      new HandClock(noon + hour),
    )
    await second.passUntil('it is given up', async () => (await second.one()).phase === 'settled')
    expect(await second.one()).toMatchObject({ outcome: 'failed' })
    expect(chat.received).toEqual([])
    expect(second.steps).toMatchObject([{ what: 'failed', who: 'martin' }])
  })

  it('does not hold up a critical result: the next is told at once', async () => {
    const { channels, chat, to } = await ends()
    const acknowledgement = { withinMs: 10 * minute, chain: ['chief'] }
    const rules = [{ name: 'critical', to: ['martin'], acknowledge: acknowledgement, groupMs: minute }]
    const first = await open({
      channels,
      people: [person('martin', { reach: [{ channel: 'chat' }] }), person('chief')],
      rules,
    })
    await first.hand(topics.studies, event)
    await first.close()
    const people = [person('chief'), person('nina')]
    const changed = [{ name: 'critical', to: ['nina'], acknowledge: acknowledgement }]
    const second = await open({ channels, people, rules: changed }, new HandClock(noon + minute))
    await second.passUntil('chief is told', () => to().length > 0, lookMs)
    expect([to(), chat.received]).toEqual([['chief'], []])
  })
})

describe('the clock', () => {
  const acknowledgement = { withinMs: 10 * minute, chain: ['nina', 'chief'] }
  const rules = [{ name: 'critical', to: ['martin'], acknowledge: acknowledgement }]

  it('that is put forward by hours passes a result on to one, who has the whole time', async () => {
    const { channels, to } = await ends()
    const stage = await open({ channels, rules })
    await stage.hand(topics.studies, event)
    await stage.pass(5 * hour)
    await until('the next is told', () => to().length === 2)
    expect(await stage.phase('awaiting')).toMatchObject({ step: 1, dueAt: noon + 5 * hour + 10 * minute })
    await stage.pass(10 * minute - 1)
    await until('it was looked at', () => stage.clock.sleeping.includes(lookMs))
    expect(to()).toEqual(['martin', 'nina'])
    await stage.pass(lookMs)
    await until('then it is the turn of the last', () => to().length === 3)
  })

  it.each([
    ['while the process runs', false],
    ['before it starts again', true],
  ])('that is put back by hours %s does not make anybody wait for longer than the time', async (_, restarts) => {
    const { channels, to } = await ends()
    const first = await open({ channels, rules }, new HandClock(noon + 5 * hour))
    await first.hand(topics.studies, anAssessment(1, { completedAt: noon + 5 * hour, assessedAt: noon + 5 * hour }))
    await first.phase('awaiting')
    if (restarts) await first.close()
    else first.clock.put(noon)
    const stage = restarts ? await open({ channels, rules }, new HandClock(noon)) : first
    if (!restarts) await stage.pass(lookMs)
    await until('it is due within the time', async () => (await stage.one()).dueAt <= stage.clock.now() + 10 * minute)
    expect(to()).toEqual(['martin'])
    await stage.passUntil('the next is told', () => to().length === 2)
    expect(stage.clock.now()).toBeLessThanOrEqual(noon + 12 * minute)
    expect(to()).toEqual(['martin', 'nina'])
  })
})

it('an acknowledgement while the next is being told counts, and nobody is told after it', async () => {
  const { channels, mail, to } = await ends()
  const rules = [{ name: 'critical', to: ['martin'], acknowledge: { withinMs: 10 * minute, chain: ['nina', 'chief'] } }]
  const clock = new HandClock(noon)
  const [stage, other] = [await open({ channels, rules }, clock), await open({ channels, rules }, clock)]
  // As the gateway does it, before the mail server has said that it took the mail.
  mail.onMail = async one => {
    if (!one.to.includes('nina@h.example')) return
    const notice = await stage.one()
    expect(notice.phase).toBe('sending')
    const next = acknowledge(notice, 'martin', 'page', clock.now())
    expect(await own.stores.documents.advance('notices', { ...next, version: notice.version + 1 })).toBe(true)
  }
  await stage.hand(topics.studies, event)
  await stage.phase('awaiting')
  await stage.pass(10 * minute)
  await until('it is kept that nina was told', async () => (await stage.one()).trail.length === 4)
  await stage.passUntil('it is on the log', async () => (await stage.one()).phase === 'settled', lookMs)
  await stage.passUntil('much time has gone by', () => clock.now() > noon + 2 * hour, 5 * minute)
  expect(to()).toEqual(['martin', 'nina'])
  const { trail, outcome, acknowledgedBy } = await stage.one()
  expect([outcome, acknowledgedBy]).toEqual(['acknowledged', 'martin'])
  expect(trail.map(({ what }) => what)).toEqual(['sent', 'escalated', 'acknowledged', 'sent'])
  const audit = [...stage.audit, ...other.audit].map(({ id, action, actor }) => `${id} ${action} ${actor}`)
  // By either of the two.
  expect([...new Set(audit)].map(one => one.split(' ').slice(1).join(' ')).toSorted()).toEqual([
    'result-acknowledged martin',
    'result-escalated nina',
    'result-sent martin',
    'result-sent nina',
  ])
})
