/** One message for a study, none twice, and no more than someone wants in an hour: by however many processes share the work. */
import { describe, expect, it } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, aPrediction, began } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { ownStores } from '../../tests/harness/own-stores.ts'
import { until } from '../../tests/harness/until.ts'

const own = ownStores()
const lookMs = 500
const hour = 3_600_000
const groupMs = 5_000

/** Three processes on the same stores. */
async function openThree(rule: object, person: object = {}) {
  const clock = new HandClock(began)
  const mail = await startMail()
  own.closing.push(() => mail[Symbol.asyncDispose]())
  const at: number[] = []
  mail.onMail = () => void at.push(clock.now())
  const channel = { kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' }
  const settings = {
    channels: [{ name: 'mail', ...channel }],
    people: [{ name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }], ...person }],
    rules: [{ name: 'found', to: ['martin'], ...rule }],
    lookMs,
  }
  const stages = await Promise.all([1, 2, 3].map(() => openNotify(own.stores, settings, { clock })))
  for (const stage of stages) own.closing.push(() => stage.close())
  const stageOf = (n: number) => stages[n % stages.length] ?? expect.unreachable('no stage')
  /** All of them have looked at what is due, and have done it. */
  async function pass(ms: number, looking = stages.length): Promise<void> {
    const allWait = () =>
      until('all wait for their next look', () => clock.sleeping.filter(one => one === lookMs).length === looking)
    await allWait()
    clock.move(ms)
    await allWait()
  }
  return { clock, mail, at, stages, stageOf, pass }
}

const predictions = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    aPrediction(n, { study: 'st_1', label: 'pneumonia', score: 0.9, predictedAt: began }),
  )

describe('several processes', () => {
  it('make one message of a study whose images they share, and no other of images that are read again', async () => {
    const { mail, stageOf, pass } = await openThree({ on: 'prediction', groupMs })
    const some = predictions(60)
    await Promise.all(some.map((one, n) => stageOf(n).hand(topics.predictions, one)))
    expect(mail.mails).toEqual([])
    await pass(groupMs)
    expect(mail.mails).toHaveLength(1)
    await Promise.all(some.map((one, n) => stageOf(n + 1).hand(topics.predictions, one, { attempt: 2 })))
    await pass(groupMs)
    expect(mail.mails).toHaveLength(1)
  })

  it('tell what one of them held, once it is gone', async () => {
    const { mail, stages, stageOf, pass } = await openThree({ on: 'prediction', groupMs })
    await Promise.all(predictions(9).map(one => stageOf(0).hand(topics.predictions, one)))
    await stages[0]?.close()
    await pass(groupMs, 2)
    expect(mail.mails.map(one => one.header('X-Raylog-Redelivered'))).toEqual([undefined])
  })

  it('that read the same event at once tell of it once', async () => {
    const { mail, stages, pass } = await openThree({})
    const event = anAssessment(1, { completedAt: began, assessedAt: began })
    await Promise.all(stages.map(stage => stage.hand(topics.studies, event)))
    await pass(lookMs)
    expect(mail.mails.map(one => one.header('X-Raylog-Redelivered'))).toEqual([undefined])
    const [notice] = await (stages[0]?.notices() ?? [])
    expect(notice?.trail.map(({ what }) => what)).toEqual(['sent'])
    const steps = new Set(stages.flatMap(stage => stage.steps.map(({ id }) => id)))
    expect(steps.size, 'on the log too').toBe(1)
  })

  it('send someone no more in any hour than is wanted, and all of it in the end', async () => {
    const { mail, at, stageOf, pass } = await openThree({}, { mostPerHour: 3 })
    const events = Array.from({ length: 9 }, (_, n) => anAssessment(n, { completedAt: began, assessedAt: began }))
    await Promise.all(events.map((event, n) => stageOf(n).hand(topics.studies, event)))
    expect(mail.mails).toHaveLength(3)
    for (const sent of [3, 6, 9]) {
      expect(mail.mails).toHaveLength(sent)
      await pass(hour - 1)
      expect(mail.mails, 'a millisecond too early').toHaveLength(sent)
      await pass(lookMs)
    }
    for (const [n, time] of at.entries()) {
      const fourth = at[n + 3]
      if (fourth !== undefined) expect(fourth - time).toBeGreaterThanOrEqual(hour)
    }
    const ids = mail.mails.map(one => one.header('X-Raylog-Notification'))
    expect(new Set(ids).size).toBe(9)
  })
})
