/** Who is told when the rota or the settings are others by the time that somebody is. */
import { describe, expect, it } from 'vitest'
import { acknowledge } from '../../schemas/notice.ts'
import { topics } from '../../schemas/topics.ts'
import { anAssessment } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { hour, lookMs, minute, noon, onDutyTests, person } from '../../tests/harness/on-duty.ts'
import { until } from '../../tests/harness/until.ts'

const { own, ends, open } = onDutyTests()
const event = anAssessment(1, { completedAt: noon, assessedAt: noon })

const onCall = [{ from: '08:00', to: '13:00', people: ['martin'] }, { people: ['nina'] }]

describe('a critical result that reached nobody', () => {
  it('goes to who has the role by the time that somebody can be reached, with the whole time to answer', async () => {
    const { channels, state, to } = await ends()
    state.up = false
    const rules = [{ name: 'critical', to: ['on-call'], acknowledge: { withinMs: 10 * minute } }]
    const stage = await open({ channels, roles: [{ name: 'on-call', shifts: onCall }], rules })
    await stage.hand(topics.studies, event)
    await stage.passUntil('martin was tried until his shift was over', () => stage.clock.now() > noon + hour + minute)
    await stage.passUntil('nina was tried too', async () =>
      (await stage.one()).targets.some(({ person, tries }) => person === 'nina' && tries > 0),
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

  it('goes at once to who is found to have the role, whoever else is tried again', async () => {
    const { channels, state, to } = await ends()
    state.gone = 'martin'
    const rules = [{ name: 'critical', to: ['on-call'], acknowledge: { withinMs: 10 * minute } }]
    const stage = await open({ channels, roles: [{ name: 'on-call', shifts: onCall }], rules })
    await stage.hand(topics.studies, event)
    await stage.passUntil('nina is found', async () =>
      (await stage.one()).targets.some(({ person }) => person === 'nina'),
    )
    const found = stage.clock.now()
    expect(found).toBeGreaterThanOrEqual(noon + hour)
    expect(found, 'the rota is looked at often enough').toBeLessThanOrEqual(noon + hour + 11 * minute)
    await stage.passUntil('two looks later', () => stage.clock.now() >= found + 2 * lookMs, lookMs)
    expect(to()).toEqual(['nina'])
    expect(await stage.phase('awaiting')).toMatchObject({ dueAt: found + 10 * minute })
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
