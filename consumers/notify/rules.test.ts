import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, aPrediction, began } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { type MailServer, startMail } from '../../tests/harness/mail.ts'
import { openNotify, pass } from '../../tests/harness/notify.ts'
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
/** Thursday, 1 January 2026, at noon (UTC). */
const noon = began + 12 * 3_600_000
const recent = { completedAt: noon, assessedAt: noon }

const settings = (over: object = {}) => ({
  channels: [
    { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'Raylog <r@h.example>' },
    { name: 'page', kind: 'live' },
  ],
  people: ['martin', 'night', 'chief'].map(name => ({
    name,
    reach: [{ channel: 'mail', address: `${name}@h.example` }],
  })),
  roles: [
    {
      name: 'on-call',
      shifts: [{ from: '08:00', to: '18:00', people: ['martin'] }, { people: ['night'] }],
    },
  ],
  rules: [{ name: 'found', findings: [{ labels: ['pneumonia'] }], to: ['on-call'] }],
  linkBase: 'https://raylog.h.example',
  ...over,
})
const withRule = (rule: object, over: object = {}) =>
  settings({ rules: [{ name: 'found', findings: [{ labels: ['pneumonia'] }], to: ['on-call'], ...rule }], ...over })

async function open(config: object, clock = new HandClock(noon)) {
  const stage = await openNotify(stores, config, { clock })
  closing.push(() => stage.close())
  return { ...stage, clock }
}
const to = () => mail.mails.map(one => one.to.join())

describe('a rule of studies', () => {
  it('tells who has the role at the time, once, of what fits it', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, anAssessment(1, recent))
    await stage.hand(topics.studies, anAssessment(1, recent), { attempt: 2 })
    await stage.hand(topics.studies, anAssessment(2, { ...recent, findings: [{ ...finding, present: false }] }))
    await stage.hand(topics.studies, anAssessment(3, { ...recent, findings: [{ ...finding, label: 'effusion' }] }))
    expect(to()).toEqual(['martin@h.example'])
    const [one] = mail.mails
    expect(one?.header('subject')).toBe('FINDING: pneumonia')
    expect(one?.header('auto-submitted')).toBe('auto-generated')
    expect(one?.raw).toContain('pneumonia: found (chest@1.0.0, score 0.91)')
    expect(one?.raw).toContain('Site: main')
    expect(one?.raw).toContain('https://raylog.h.example/worklist/st_0001')
    expect(one?.raw).toContain('Research use only')
    expect(one?.header('X-Raylog-Redelivered')).toBeUndefined()
    expect(await stage.notices()).toMatchObject([{ phase: 'settled', outcome: 'told', edition: 1 }])
    expect(stage.steps.map(({ what, who }) => [what, who])).toEqual([['sent', 'martin']])
    expect(stage.audit, 'nothing critical').toEqual([])

    stage.clock.move(8 * 3_600_000)
    await stage.hand(topics.studies, anAssessment(4, recent))
    expect(to()).toEqual(['martin@h.example', 'night@h.example'])
  })

  it.each([
    ['sites', { sites: ['north'] }],
    ['modalities', { modalities: ['CT'] }],
    ['priorities', { priorities: ['stat'] }],
    ['models', { models: ['chest@2.0.0'] }],
    ['hours', { hours: [{ days: ['mon', 'tue', 'wed'] }] }],
    ['findings', { findings: [{ labels: ['pneumonia'], minScore: 0.95 }] }],
    ['on', { on: 'prediction' }],
  ])('says in the tester that its %s do not fit, and sends nothing', async (what, rule) => {
    const stage = await open(withRule(rule))
    const study = anAssessment(1, recent)
    await stores.documents.upsert('assessments', [study])
    await stage.hand(topics.studies, study)
    expect(mail.mails).toEqual([])
    const { items } = await stage.test(study.id)
    expect(items[0].rules[0]).toMatchObject({ rule: 'found', matches: false, to: [], title: null })
    const not = items[0].rules[0].checks.filter(({ ok }: { ok: boolean }) => !ok)
    expect(not.map((check: { what: string }) => check.what)).toEqual([what])
  })

  it('that fits no more tells those who were told before, and the tester says so', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, anAssessment(1, recent))
    const gone = { ...recent, revision: 2, id: 'sr_2', findings: [{ ...finding, present: false, score: 0.1 }] }
    const study = anAssessment(1, gone)
    await stores.documents.upsert('assessments', [study])
    const { items } = await stage.test(study.id)
    expect(items[0].rules[0]).toMatchObject({ matches: false, repeat: false, title: 'nothing found' })
    expect(items[0].rules[0].to).toMatchObject([{ person: 'martin', channel: 'mail' }])
    await stage.hand(topics.studies, study)
    expect(to()).toEqual(['martin@h.example', 'martin@h.example'])
    const again = await stage.test(study.id)
    expect(again.items[0].rules[0], 'once it is told').toMatchObject({ matches: false, to: [], title: null })
  })

  it('of a revision tells only what has changed, and whoever was told before', async () => {
    const stage = await open(settings())
    await stage.hand(topics.studies, anAssessment(1, recent))
    stage.clock.move(8 * 3_600_000)
    const more = { ...recent, revision: 2, id: 'sr_2', findings: [{ ...finding, score: 0.99, positive: 2 }] }
    await stage.hand(topics.studies, anAssessment(1, more))
    expect(to(), 'another score changes nothing').toEqual(['martin@h.example'])

    const gone = { ...recent, revision: 3, id: 'sr_3', findings: [{ ...finding, present: false, score: 0.1 }] }
    await stage.hand(topics.studies, anAssessment(1, gone))
    expect(to().toSorted()).toEqual(['martin@h.example', 'martin@h.example', 'night@h.example'])
    const last = mail.mails.at(-1)
    expect(last?.header('subject')).toBe('Changed: RESULT: nothing found')
    expect(last?.raw).toContain('* no longer found: pneumonia (chest)')
    expect(await stage.notices()).toMatchObject([{ edition: 2, revision: 3, outcome: 'told' }])

    await stage.hand(topics.studies, anAssessment(1, recent))
    expect(mail.mails, 'the first revision again').toHaveLength(3)
  })

  it('tells nobody of what is older than a day, such as a log that is read from its beginning', async () => {
    const stage = await open(settings())
    const old = anAssessment(1, { completedAt: noon - 86_500_000, assessedAt: null })
    await stage.hand(topics.studies, old)
    expect(await stage.notices()).toEqual([])
    await stores.documents.upsert('assessments', [old])
    const [rule, then] = [await stage.test(old.id), await stage.test(old.id, noon - 86_400_000)].map(
      ({ items }) => items[0].rules[0],
    )
    expect(rule).toMatchObject({ matches: false, title: null, to: [], chain: [] })
    expect(rule.checks.find(({ ok }: { ok: boolean }) => !ok)).toEqual({
      ...{ what: 'maxAgeMs', ok: false, why: 'it is 86500 s old' },
    })
    expect(then).toMatchObject({ matches: true, to: [{ person: 'martin' }] })
  })

  it('can be tried at any time that there is', async () => {
    const config = settings()
    const people = config.people.map(person => ({ ...person, quiet: [{}] }))
    const stage = await open({ ...config, people, maxAgeMs: Number.MAX_SAFE_INTEGER })
    const study = anAssessment(1, recent)
    await stores.documents.upsert('assessments', [study])
    const asked = [0, Date.UTC(9999, 11, 31, 23, 59, 59), -1, 9e15, Number.MAX_SAFE_INTEGER]
    const answers = await Promise.all(asked.map(at => stage.test(study.id, at)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 400, 400])
    expect(new Date(answers[1].items[0].rules[0].to[0].dueAt).toISOString()).toMatch(/^\+010000-01-07T/)
  })
})

describe('a rule of predictions', () => {
  it('makes one message of a study, not 300', async () => {
    const stage = await open(withRule({ on: 'prediction', groupMs: 5_000 }))
    const some = Array.from({ length: 300 }, (_, n) =>
      aPrediction(n, { study: 'st_1', label: 'pneumonia', score: 0.6 + n / 1000, predictedAt: noon }),
    )
    await Promise.all(some.slice(0, 150).map(one => stage.hand(topics.predictions, one)))
    expect(mail.mails).toEqual([])
    await pass(stage.clock, 5_000)
    await stage.settled('told')
    await Promise.all(some.slice(150).map(one => stage.hand(topics.predictions, one)))
    expect(to()).toEqual(['martin@h.example'])
    expect(mail.mails[0]?.raw).toContain('score 0.75')
    expect((await stage.notices())[0]?.findings).toMatchObject([{ label: 'pneumonia', images: 150 }])
  })

  it('per event makes one of each, but only of production', async () => {
    const stage = await open(withRule({ on: 'prediction', per: 'event' }))
    for (const n of [1, 2, 3])
      await stage.hand(
        topics.predictions,
        aPrediction(n, { label: 'pneumonia', score: 0.9, predictedAt: noon, study: 's' }),
      )
    await stage.hand(
      topics.predictions,
      aPrediction(4, { label: 'pneumonia', score: 0.9, predictedAt: noon, role: 'replay' }),
    )
    expect(mail.mails).toHaveLength(3)
  })

  it.each(['shadow', 'canary', 'replay'] as const)('tells nobody of %s, and the tester says why', async role => {
    const hook = { name: 'ward', url: 'http://127.0.0.1:1/', secret: 'a-secret-of-sixteen' }
    const stage = await open(withRule({ on: 'prediction' }, { webhooks: [hook] }))
    const said = { label: 'pneumonia', score: 0.9, predictedAt: noon }
    const [mine, other] = [aPrediction(1, { ...said, role }), aPrediction(2, said)]
    for (const one of [mine, other]) await stores.documents.insert('predictions', one)
    await stage.hand(topics.predictions, mine)
    expect(await stage.notices()).toEqual([])
    expect((await stores.documents.find('deliveries')).items).toEqual([])
    const [not, is] = [await stage.test(mine.id), await stage.test(other.id)].map(({ items }) => items[0])
    expect(not.webhooks).toEqual([{ destination: 'ward', told: false }])
    expect(not.rules[0]).toMatchObject({ matches: false, to: [], title: null })
    expect(not.rules[0].checks.filter(({ ok }: { ok: boolean }) => !ok)).toEqual([
      { what: 'role', ok: false, why: role },
    ])
    expect(is.webhooks).toEqual([{ destination: 'ward', told: true }])
    expect(is.rules[0]).toMatchObject({ matches: true, to: [{ person: 'martin' }] })
  })
})

describe('someone', () => {
  const quiet = (over: object = {}) => {
    const config = settings()
    const people = config.people.map(person => ({ ...person, quiet: [{ from: '11:00', to: '13:30' }], ...over }))
    return { ...config, people }
  }

  it('with quiet hours is told when they are over, of STAT at once', async () => {
    const stage = await open(quiet())
    await stage.hand(topics.studies, anAssessment(1, recent))
    expect(mail.mails).toEqual([])
    expect(await stage.notices()).toMatchObject([{ phase: 'held', dueAt: noon + 5_400_000 }])
    await stores.documents.upsert('assessments', [anAssessment(5, recent)])
    const { items } = await stage.test('sr_0005')
    expect(items[0].rules[0]).toMatchObject({
      matches: true,
      to: [{ person: 'martin', channel: 'mail', kind: 'email', dueAt: noon + 5_400_000, why: 'quiet-hours' }],
    })
    await stage.hand(topics.studies, anAssessment(2, { ...recent, priority: 'stat' }))
    expect(mail.mails).toHaveLength(1)
    await pass(stage.clock, 5_400_000)
    await until('the first is told', () => mail.mails.length === 2)
  })

  it('who gets too many gets the rest later, and loses none', async () => {
    const stage = await open(quiet({ quiet: [], mostPerHour: 3 }))
    await Promise.all([1, 2, 3, 4, 5].map(n => stage.hand(topics.studies, anAssessment(n, recent))))
    expect(mail.mails).toHaveLength(3)
    const held = (await stage.notices()).filter(({ phase }) => phase === 'held')
    expect(held.flatMap(({ targets }) => targets.map(({ why }) => why))).toEqual(['rate-limit', 'rate-limit'])
    await pass(stage.clock, 3_600_000)
    await until('all are told', () => mail.mails.length === 5)
  })

  it('whose server is away is told when it is back', async () => {
    const down = await startMail({}, before => (before < 2 ? { code: 451, text: 'later' } : null))
    closing.push(() => down[Symbol.asyncDispose]())
    const config = settings()
    const channels = config.channels.map(one => (one.kind === 'email' ? { ...one, port: down.port } : one))
    const stage = await open({ ...config, channels, attempts: 1 })
    await stage.hand(topics.studies, anAssessment(1, recent))
    expect(await stage.notices()).toMatchObject([{ phase: 'held', targets: [{ tries: 1, state: 'waiting' }] }])
    await pass(stage.clock, 30_000)
    await until('it was tried again', async () => (await stage.notices())[0]?.targets[0]?.tries === 2)
    await pass(stage.clock, 60_000)
    await stage.settled('told')
    expect(down.mails).toHaveLength(1)
    expect(down.mails[0]?.raw).toContain('This may be a repeat')
    const { items } = await stores.documents.find('deliveries')
    expect(items.map(({ state }) => state).toSorted()).toEqual(['failed', 'failed', 'sent'])
    expect(items.find(({ state }) => state === 'failed')?.message).toMatch(/the mail server answered 451/)
  })
})

it('a person on the page is told live', async () => {
  const config = settings()
  const people = [...config.people, { name: 'wall', reach: [{ channel: 'page' }] }]
  const stage = await open({ ...config, people, rules: [{ name: 'found', to: ['wall'] }] })
  await stage.hand(topics.studies, anAssessment(1, recent))
  expect(stage.steps).toMatchObject([
    { what: 'alert', who: 'wall', study: 'st_0001', title: 'pneumonia', priority: 'urgent' },
    { what: 'sent', who: 'wall' },
  ])
})
