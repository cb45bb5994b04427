/** When a study is complete, and what is said of it. */
import { describe, expect, it } from 'vitest'
import { ids } from '../../schemas/ids.ts'
import { topics } from '../../schemas/topics.ts'
import { aParked } from '../../tests/gateway/samples.ts'
import { assessingPerTest, sick, study } from '../../tests/harness/assessing.ts'

const on = assessingPerTest()
const { start, stop, append, assessed, last, read, image, answer, quiet } = on

it('is looked at once for what waited of it together: a burst costs fewer commits than it has images', async () => {
  const numbers = Array.from({ length: 60 }, (_, n) => n + 1)
  await append(topics.instances, ...numbers.map(n => image(n, { studyInstances: 60 })))
  await append(topics.predictions, ...numbers.map(n => answer(n)))
  const before = on.documents.commits()
  await start()
  expect(await last(1)).toMatchObject({ completedBy: 'expected_count', instances: 60, missing: [] })
  await read()
  expect(on.documents.commits() - before).toBeLessThan(60)
})

describe('a study is complete', () => {
  it('when nothing came for the time of its modality, and not before', async () => {
    await start({ idleMs: { DX: 10_000 } })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await quiet(6_000)
    await append(topics.instances, image(2))
    await append(topics.predictions, answer(2, sick))
    await read()
    await quiet(8_000)
    expect(await assessed()).toEqual([])
    expect(await last(1)).toMatchObject({
      ...{ id: ids.studyRevision(study, 1), study, site: 'main', revision: 1, series: 1, instances: 2 },
      ...{ completedBy: 'idle', expected: null, missing: [], changes: null, priority: 'routine' },
      images: ['in_0001', 'in_0002'],
      findings: [{ model: 'chest@1.0.0', label: 'pneumonia', present: true, score: 0.9, instances: ['in_0002'] }],
    })
  })

  it('with as many images as the modality said, at once', async () => {
    await start()
    await append(topics.instances, image(1, { studyInstances: 3 }), image(2, { studyInstances: 3 }))
    await append(topics.predictions, answer(1), answer(2), answer(3))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.instances, image(3, { studyInstances: 3 }))
    const expected = { images: 3, source: 'modality' }
    expect(await last(1)).toMatchObject({ completedBy: 'expected_count', expected, instances: 3 })
  })

  it('with as many as an order said, and as urgent, even if it said so first', async () => {
    const request = {
      id: 'rq_1',
      study,
      what: 'expect' as const,
      images: 2,
      source: 'order',
      priority: 'stat' as const,
      revision: null,
      at: 1,
    }
    await start()
    await append(topics.requests, { ...request, actor: 'ris' })
    await read()
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    const expected = { images: 2, source: 'order' }
    expect(await last(1)).toMatchObject({ completedBy: 'expected_count', expected, priority: 'stat' })
  })

  it('by the idle time where fewer came than the rule and the announcement say, and the event has that number too', async () => {
    const request = {
      id: 'rq_1',
      study,
      what: 'expect' as const,
      images: 3,
      source: 'pacs',
      priority: null,
      revision: null,
      at: 1,
    }
    await start({ rules: [{ images: 4 }] })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    await append(topics.requests, { ...request, actor: 'pacs' })
    await read()
    await quiet(14_000)
    expect(await assessed()).toEqual([])
    expect(await last(1)).toMatchObject({ completedBy: 'idle', expected: { images: 3, source: 'pacs' }, instances: 2 })
  })

  it('when a person says so, and the event says who', async () => {
    const request = {
      id: 'rq_1',
      study,
      what: 'complete' as const,
      images: null,
      source: null,
      priority: null,
      revision: null,
      at: 1,
    }
    await start()
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await append(topics.requests, { ...request, actor: 'dr' })
    expect(await last(1)).toMatchObject({ completedBy: 'forced', actor: 'dr', instances: 1 })
  })

  it('when a rule says so', async () => {
    await start({
      rules: [
        { modalities: ['CT'], images: 1 },
        { modalities: ['DX'], images: 2 },
      ],
    })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1), answer(2))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.instances, image(2))
    expect(await last(1)).toMatchObject({ completedBy: 'rule', instances: 2 })
  })

  it('not while its next image is on the log and was not read: the stage was away for longer than the idle time', async () => {
    await start({ idleMs: { DX: 5_000 } })
    await append(topics.instances, image(1))
    await append(topics.predictions, answer(1))
    await read()
    await stop()
    on.clock.move(3_000)
    await append(topics.instances, ...[2, 3, 4, 5].map(n => image(n)))
    await append(topics.predictions, ...[2, 3, 4, 5].map(n => answer(n)))
    on.clock.move(3_600_000)
    await start({ idleMs: { DX: 5_000 } })
    expect(await last(1)).toMatchObject({ revision: 1, instances: 5, completedBy: 'idle' })
  })
})

describe('an assessment', () => {
  const forced = { rules: [{ images: 2 }], answersMs: 60_000 }

  it('waits for what models are to say, and names what did not come within the time', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    await read()
    await quiet(50_000)
    expect(await assessed()).toEqual([])
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002', model: 'chest', code: null }] })
  })

  it('does not wait for an image that was given up, and says why it is missing', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    await read()
    const { state: _, value: __, ...parked } = aParked(2)
    await append(topics.parked, { ...parked, key: study, value: Buffer.alloc(0) })
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002', model: 'chest', code: 'decode-failed' }] })
    expect(on.clock.now() - Date.UTC(2026, 0, 1)).toBeLessThan(60_000)
  })

  it('does not take what replays and shadows say for an answer', async () => {
    await start(forced)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2, { ...sick, role: 'shadow', id: 'a' }))
    await append(topics.predictions, answer(2, { ...sick, role: 'replay', replay: 'rr', id: 'b' }))
    await read()
    expect(await assessed()).toEqual([])
    await append(topics.predictions, answer(2))
    expect(await last(1)).toMatchObject({ missing: [], findings: [{ present: false, positive: 0, analysed: 2 }] })
  })

  it('is as urgent as the order or the gravest finding', async () => {
    await start({ ...forced, findings: [{ models: ['chest'], priority: 'urgent' }] })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1, sick), answer(2))
    expect(await last(1)).toMatchObject({ priority: 'urgent' })
    const other = { study: 'st_2', priority: 'stat' as const }
    await append(topics.instances, image(3, other), image(4, { study: 'st_2' }))
    await append(topics.predictions, answer(3, { study: 'st_2' }), answer(4, { study: 'st_2' }))
    expect(await last(2)).toMatchObject({ study: 'st_2', priority: 'stat' })
  })
})
