/** A clock that is put forward or back: who is told, and by when at the latest. */
import { describe, expect, it } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import { anAssessment } from '../../tests/gateway/samples.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { hour, leaseMs, lookMs, minute, noon, onDutyTests } from '../../tests/harness/on-duty.ts'
import { until } from '../../tests/harness/until.ts'

const { own, ends, open } = onDutyTests()
const event = anAssessment(1, { completedAt: noon, assessedAt: noon })

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

  const evening = noon + 5 * hour
  const late = anAssessment(1, { completedAt: evening, assessedAt: evening })
  const putBack = [
    ['while the process runs', false],
    ['before it starts again', true],
  ] as const

  /** A stage that has heard of it in the evening. */
  async function openInTheEvening(settings: object) {
    const stage = await open(settings, new HandClock(evening))
    await stage.hand(topics.studies, late)
    return stage
  }
  /** The same stage, or the next, with a clock that says noon again. */
  async function noonAgain(first: Awaited<ReturnType<typeof open>>, settings: object, restarts: boolean) {
    if (restarts) await first.close()
    else first.clock.put(noon)
    const stage = restarts ? await open(settings, new HandClock(noon)) : first
    if (!restarts) await stage.pass(lookMs)
    return stage
  }

  it.each(putBack)(
    'that is put back by hours %s does not make anybody wait for longer than the time',
    async (_, restarts) => {
      const { channels, to } = await ends()
      const first = await openInTheEvening({ channels, rules })
      await first.phase('awaiting')
      const stage = await noonAgain(first, { channels, rules }, restarts)
      await until('it is due within the time', async () => (await stage.one()).dueAt <= stage.clock.now() + 10 * minute)
      expect(to()).toEqual(['martin'])
      await stage.passUntil('the next is told', () => to().length === 2)
      expect(stage.clock.now()).toBeLessThanOrEqual(noon + 12 * minute)
      expect(to()).toEqual(['martin', 'nina'])
    },
  )

  it.each(putBack)('that is put back by hours %s does not hold up what reached nobody', async (_, restarts) => {
    const { channels, state, to } = await ends()
    state.up = false
    const first = await openInTheEvening({ channels, rules })
    await first.phase('held')
    const stage = await noonAgain(first, { channels, rules }, restarts)
    state.up = true
    await stage.passUntil('someone is told', () => to().length > 0)
    expect(stage.clock.now()).toBeLessThanOrEqual(noon + 11 * minute)
  })

  it.each(putBack)('that is put back by hours %s does not hold up what waits for more', async (_, restarts) => {
    const { channels, to } = await ends()
    const settings = { channels, rules: rules.map(rule => ({ ...rule, groupMs: minute })) }
    const first = await openInTheEvening(settings)
    expect(to()).toEqual([])
    const stage = await noonAgain(first, settings, restarts)
    await stage.passUntil('martin is told', () => to().length > 0)
    expect(stage.clock.now()).toBeLessThanOrEqual(noon + 2 * minute)
  })

  it.each([
    ['a critical result', rules],
    ['any other', [{ name: 'found', to: ['martin'] }]],
  ])('that is put back by hours does not hold up %s that a process died of telling', async (_, some) => {
    const { channels, mail, to } = await ends()
    const settings = { channels, rules: some.map(rule => ({ ...rule, groupMs: minute })) }
    const first = await openInTheEvening(settings)
    mail.onMail = () => new Promise(() => undefined)
    await first.pass(minute)
    await until('the mail is on its way', () => to().length === 1)
    await first.close()
    expect(await first.one()).toMatchObject({ phase: 'sending', dueAt: evening + minute + leaseMs })
    mail.onMail = () => undefined
    const second = await noonAgain(first, settings, true)
    const latest = noon + leaseMs + 2 * lookMs
    await second.passUntil('it is told', () => to().length > 1 || second.clock.now() > latest, lookMs)
    expect(second.clock.now()).toBeLessThanOrEqual(latest)
    expect(to()).toEqual(['martin', 'martin'])
  })

  it('that is put back by hours does not hold up the last steps of what is over', async () => {
    const { channels } = await ends()
    const settings = { channels, rules: [{ name: 'found', to: ['martin'] }] }
    const first = await openInTheEvening(settings)
    const { version, ...told } = await first.settled('told')
    // As a process leaves it that is killed before the log has them.
    const left = { ...told, version: version + 1, phase: 'settling' as const, published: 0 }
    expect(await own.stores.documents.advance('notices', left)).toBe(true)
    const second = await noonAgain(first, settings, true)
    await second.pass(lookMs)
    await until('it was looked at', () => second.clock.sleeping.includes(lookMs))
    expect(second.steps.map(({ what }) => what)).toEqual(['sent'])
    expect((await second.one()).phase).toBe('settled')
  })
})
