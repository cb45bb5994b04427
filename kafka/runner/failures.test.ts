/** What becomes of events whose handler fails: tried again, waited for, or parked. */
import { describe, expect, it, vi } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { audit, feedback, probesPerTest, stageOf } from '../../tests/harness/probes.ts'
import type { AnyStage } from '../stage.ts'

const on = probesPerTest()
const { start, append, all, parkedEvents, lagIsZero } = on

describe('the runner', () => {
  it('tries again what may pass, without what failed attempts emitted', async () => {
    await append(feedback(1))
    await start(
      stageOf((event, { attempt, emit }) => {
        emit(topics.audit, audit(`${event.id} attempt ${attempt}`))
        if (attempt < 3) throw new RaylogError('infer-failed', 'not yet')
      }),
    )
    await lagIsZero()
    expect((await all(topics.audit)).map(({ id }) => id)).toEqual(['fb_1 attempt 3'])
    expect(
      await on.log.topics().then(list => list.find(({ name }) => name === topics.parked.name)?.bounds[0]?.high),
    ).toBe(0)
  })

  it('parks what fails too often, with its cause, and the record as it was', async () => {
    await append(feedback(1), feedback(2))
    await start(
      stageOf(event => {
        if (event.id === 'fb_1') throw new RaylogError('infer-failed', 'never')
      }),
      { retries: 2 },
    )
    await lagIsZero()
    const [parked] = await parkedEvents()
    expect(parked).toMatchObject({
      stage: 'probe',
      code: 'infer-failed',
      message: 'never',
      attempts: 3,
      subject: 'fb_1',
    })
    const [original] = await on.log.read({ topic: topics.feedback.name, partition: 0, offset: 0 }, 1)
    expect(parked?.value).toEqual(original?.value)
  })

  it('parks a poison event at once and goes on with its neighbours', async () => {
    await append(...Array.from({ length: 10 }, (_, n) => feedback(n, 'same')))
    const seen: string[] = []
    await start(
      stageOf(event => {
        if (event.id === 'fb_4') throw new RaylogError('decode-failed', 'rubbish')
        seen.push(event.id)
      }),
    )
    await lagIsZero()
    expect(seen).toHaveLength(9)
    expect((await parkedEvents()).map(({ attempts }) => attempts)).toEqual([1])
  })

  it('parks a record that does not decode', async () => {
    await append(feedback(1))
    const unknownSchema = Buffer.from([0, 0, 0, 255, 255, 1, 2, 3])
    await on.log.append([{ topic: topics.feedback.name, key: 'x', value: unknownSchema }])
    await on.log.append([{ topic: topics.feedback.name, key: 'x', value: Buffer.from('not even that') }])
    await append(feedback(2))
    const seen: string[] = []
    await start(stageOf(event => void seen.push(event.id)))
    await lagIsZero()
    expect(seen.sort()).toEqual(['fb_1', 'fb_2'])
    expect((await parkedEvents()).map(({ code, subject }) => [code, subject])).toEqual([
      ['bad-record', null],
      ['bad-record', null],
    ])
  })

  it('waits out an outage however long it is, and parks nothing', async () => {
    await append(feedback(1))
    let attempts = 0
    await start(
      stageOf(() => {
        attempts++
        if (attempts < 30) throw new RaylogError('store-unavailable', 'away')
      }),
      { retries: 1 },
    )
    await lagIsZero()
    expect(attempts).toBe(30)
    expect(await parkedEvents()).toEqual([])
  })

  it('spends no retries on an outage: what fails after it still has all of them', async () => {
    await append(feedback(1))
    let attempts = 0
    await start(
      stageOf(() => {
        attempts++
        if (attempts <= 10) throw new RaylogError('store-unavailable', 'away')
        if (attempts <= 12) throw new RaylogError('worker-died', 'not yet')
      }),
      { retries: 2 },
    )
    await lagIsZero()
    expect(attempts).toBe(13)
    expect(await parkedEvents()).toEqual([])
  })

  it('waits for the log also where the parked event cannot even be encoded without it', async () => {
    await append(feedback(1))
    let away = 3
    const { schemaId } = on.log
    on.log.schemaId = (subject, schema) =>
      subject.startsWith(topics.parked.name) && away-- > 0
        ? Promise.reject(new RaylogError('log-unavailable', 'away'))
        : schemaId(subject, schema)
    await start(
      stageOf(() => {
        throw new RaylogError('decode-failed', 'rubbish')
      }),
    )
    await lagIsZero()
    expect((await parkedEvents()).map(({ code }) => code)).toEqual(['decode-failed'])
  })

  it('does not park a parked event again, which would go round for ever', async () => {
    await append(feedback(1))
    const reader: AnyStage = {
      ...stageOf(() => undefined),
      reads: [topics.feedback, topics.parked],
      open: async () => ({
        handle() {
          throw new RaylogError('too-large', 'for the store')
        },
      }),
    }
    await start(reader)
    await vi.waitFor(async () => {
      const lags = await on.log.lag('probe')
      expect(lags.filter(({ committed }) => committed > 0).map(({ topic }) => topic)).toHaveLength(2)
    }, 25_000)
    await lagIsZero()
    expect(await parkedEvents()).toHaveLength(1)
  })
})
