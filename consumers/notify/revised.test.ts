import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { acknowledge } from '../../schemas/notice.ts'
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

const noon = began + 12 * 3_600_000
const minute = 60_000
const found = anAssessment(1).findings[0] ?? expect.unreachable('no finding')
const effusion = { ...found, label: 'effusion' }
const gone = { ...found, present: false, score: 0.1 }
const revision = (n: number, over: object = {}) =>
  anAssessment(1, { completedAt: noon, assessedAt: noon, id: `sr_${n}`, revision: n, ...over })

async function open(rule: object | null, person: object = {}, now = noon) {
  const config = {
    channels: [
      { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
    ],
    people: [{ name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }], ...person }],
    rules: [rule].flatMap(over =>
      over === null
        ? []
        : { name: 'found', findings: [{ labels: ['pneumonia', 'effusion'] }], to: ['martin'], ...over },
    ),
  }
  const clock = new HandClock(now)
  const stage = await openNotify(stores, config, { clock })
  closing.push(() => stage.close())
  return { ...stage, clock }
}
const one = async () => (await stores.documents.find('notices')).items[0] ?? expect.unreachable('no notification')
const subjects = () => mail.mails.map(each => each.header('subject'))

describe('what is held', () => {
  const quiet = { quiet: [{ from: '11:00', to: '12:30' }] }
  it.each([
    ['with others of its study', { groupMs: 30 * minute }, {}, 'told', 'FINDING: pneumonia'],
    ['by quiet hours', {}, quiet, 'told', 'FINDING: pneumonia'],
    ['and critical', { groupMs: 30 * minute, acknowledge: {} }, {}, null, 'CRITICAL RESULT: critical: pneumonia'],
  ])('%s, then withdrawn, is told when it is found again', async (_, rule, person, outcome, subject) => {
    const stage = await open(rule, person)
    await stage.hand(topics.studies, revision(1))
    await stage.hand(topics.studies, revision(2, { findings: [gone] }))
    await stage.settled('withdrawn')
    await stage.hand(topics.studies, revision(3, { findings: [] }))
    expect(await one(), 'still nothing to tell').toMatchObject({ phase: 'settled', outcome: 'withdrawn', revision: 3 })
    const { createdAt, trail, published } = await one()
    await stage.hand(topics.studies, revision(4))
    await stage.hand(topics.studies, revision(4))
    const begun = await one()
    expect(begun).toMatchObject({ phase: 'held', outcome: null, edition: 1, createdAt, told: null })
    expect(begun.trail.slice(0, trail.length)).toEqual(trail)
    expect(begun.published).toBeGreaterThanOrEqual(published)
    expect(mail.mails).toEqual([])
    await pass(stage.clock, 30 * minute)
    await until('it is told', async () => ['settled', 'awaiting'].includes((await one()).phase))
    expect(await one()).toMatchObject({ outcome, edition: 1 })
    expect(subjects()).toEqual([subject])
  })

  it('and critical, then acknowledged on the page, is told when more is found', async () => {
    const stage = await open({ groupMs: minute, acknowledge: {} })
    await stage.hand(topics.studies, revision(1))
    const held = await one()
    await stores.documents.advance('notices', { ...acknowledge(held, 'Ada', 'page', noon), version: held.version + 1 })
    await stage.hand(topics.studies, revision(2))
    await stage.settled('acknowledged')
    await stage.hand(topics.studies, revision(3, { findings: [found, effusion] }))
    expect(await one()).toMatchObject({ phase: 'held', outcome: null, acknowledgedBy: null, acknowledgedAt: null })
    await pass(stage.clock, minute)
    await stage.phase('awaiting')
    expect(subjects()).toEqual(['CRITICAL RESULT: critical: pneumonia, effusion'])
    expect((await one()).trail.map(({ what }) => what)).toEqual(['acknowledged', 'changed', 'sent'])
    expect(stage.audit.map(({ action }) => action)).toEqual(['result-acknowledged', 'result-sent'])
  })

  it('by quiet hours is told at once when the study becomes STAT', async () => {
    const stage = await open({}, quiet)
    await stage.hand(topics.studies, revision(1))
    expect(await one()).toMatchObject({ phase: 'held', dueAt: noon + 30 * minute })
    await stage.hand(topics.studies, revision(2, { priority: 'stat' }))
    expect(subjects()).toEqual(['ALERT: pneumonia'])
    expect(await one()).toMatchObject({ outcome: 'told', edition: 1 })
    expect((await one()).trail.map(({ what }) => what)).toEqual(['held', 'changed', 'sent'])
  })

  it('by quiet hours still waits for more of its study when that becomes STAT', async () => {
    const stage = await open({ groupMs: 2 * minute }, quiet)
    await stage.hand(topics.studies, revision(1))
    await pass(stage.clock, minute)
    await stage.hand(topics.studies, revision(2, { priority: 'stat' }))
    expect(await one()).toMatchObject({ phase: 'held', dueAt: noon + 2 * minute, targets: [{ why: 'grouping' }] })
    await pass(stage.clock, minute)
    await stage.settled('told')
  })
})

describe('whoever was told that something was not found', () => {
  const not = { findings: [{ labels: ['pneumonia'], present: false }] }
  it('is told that it is found now', async () => {
    const stage = await open(not)
    await stage.hand(topics.studies, revision(1, { findings: [gone] }))
    await stage.hand(topics.studies, revision(2, { findings: [found] }))
    await stage.hand(topics.studies, revision(3, { findings: [found] }))
    expect(subjects()).toEqual(['RESULT: nothing found', 'Changed: FINDING: pneumonia'])
    expect(mail.mails[1]?.raw).toContain('* new: pneumonia (chest)')
    await stage.hand(topics.studies, revision(4, { findings: [gone] }))
    expect(mail.mails[2]?.raw).toContain('* no longer found: pneumonia (chest)')
  })

  it.each([
    ['not', not],
    ['either', { findings: [{ labels: ['pneumonia'], present: null }] }],
  ])('in one image (%s) is told that another shows it, and no more of a third that does not', async (_, rule) => {
    const stage = await open({ on: 'prediction', ...rule })
    for (const [n, score] of [0.1, 0.9, 0.2].entries())
      await stage.hand(
        topics.predictions,
        aPrediction(n, { study: 'st_1', label: 'pneumonia', score, threshold: 0.5, predictedAt: noon }),
      )
    expect(subjects()).toEqual(['RESULT: nothing found', 'Changed: FINDING: pneumonia'])
    expect((await one()).findings).toMatchObject([{ present: true, score: 0.9 }])
  })
})

describe('without rules', () => {
  it('nothing is looked for where there never were any', async () => {
    const find = vi.spyOn(stores.documents, 'find')
    const without = await open(null)
    await without.close()
    expect(find.mock.calls).toEqual([['notices', { limit: 1 }]])
    find.mockRestore()
  })

  it('what was held is withdrawn, and told once the rule is there again', async () => {
    const first = await open({ groupMs: minute })
    await first.hand(topics.studies, revision(1))
    await first.close()
    const without = await open(null, {}, noon + minute)
    expect((await without.settled('withdrawn')).trail).toMatchObject([{ what: 'changed', detail: 'the rule is gone' }])
    await without.close()
    const again = await open({})
    await again.hand(topics.studies, revision(2))
    expect(subjects()).toEqual(['FINDING: pneumonia'])
  })

  it('an acknowledgement gets onto log and audit', async () => {
    const first = await open({ acknowledge: {} })
    await first.hand(topics.studies, revision(1))
    await first.close()
    const told = await one()
    const next = { ...acknowledge(told, 'Ada', 'page', noon), version: told.version + 1 }
    await stores.documents.advance('notices', next)
    const without = await open(null)
    await without.settled('acknowledged')
    expect(without.audit).toMatchObject([{ action: 'result-acknowledged', actor: 'Ada' }])
    expect(without.steps).toMatchObject([{ what: 'acknowledged', channel: 'page' }])
  })
})
