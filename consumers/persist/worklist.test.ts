import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type StudyAssessed, topics } from '../../schemas/topics.ts'
import { anAssessment, anInstance } from '../../tests/gateway/samples.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { persist } from './stage.ts'

let stores: Stores
let stage: OpenedStage
beforeEach(async () => {
  stores = await openStores()
  stage = await openForTest(persist, stores)
})
afterEach(async () => {
  await stage.close()
  await stores.close()
})

describe('the worklist', () => {
  const study = 'st_1'
  const lineOf = () => stores.documents.get('worklist', study)
  const request = { id: 'rq', study, images: null, source: null, priority: null, actor: 'dr', at: 1 }
  const reviewed = (revision: number) => ({ ...request, what: 'reviewed' as const, revision })

  it('has a study from its first image on, and knows at once that one is urgent', async () => {
    await stage.hand(topics.instances, anInstance(1, { study, receivedAt: 500 }))
    expect(await lineOf()).toMatchObject({ state: 'gathering', priority: 'routine', firstAt: 500, revision: 0 })
    await stage.hand(topics.instances, anInstance(2, { study, receivedAt: 900, priority: 'stat' }))
    expect(await lineOf()).toMatchObject({ state: 'gathering', priority: 'stat', firstAt: 500 })
  })

  it('has it as urgent as its order, said before its images or after its assessment, whichever event is read last', async () => {
    const order = { ...request, what: 'expect' as const, priority: 'urgent' as const, revision: null, source: 'order' }
    await stage.hand(topics.requests, order)
    expect(await lineOf()).toMatchObject({ state: 'ordered' })
    await stage.hand(topics.instances, anInstance(1, { study, receivedAt: 500 }))
    expect(await lineOf()).toMatchObject({ state: 'gathering', priority: 'urgent', firstAt: 500 })
    await stage.hand(topics.studies, anAssessment(1, { study, priority: 'routine', firstAt: 500 }))
    expect(await lineOf()).toMatchObject({ state: 'waiting', priority: 'urgent' })
    await stage.hand(topics.requests, reviewed(1))
    await stage.hand(topics.requests, { ...order, priority: 'stat' })
    expect(await lineOf()).toMatchObject({ state: 'reviewed', priority: 'stat' })
    const { items } = await stores.documents.find('worklist', { order: 'oldest' })
    expect(items[0]?.rank).toBe(500)
  })

  it('reads the urgent first, and of those who are as urgent the one who waits longest', async () => {
    const give = (id: string, priority: StudyAssessed['priority'], firstAt: number) =>
      stage.hand(topics.studies, anAssessment(1, { id, study: id, priority, firstAt }))
    await give('a', 'routine', 100)
    await give('b', 'stat', 900)
    await give('c', 'urgent', 300)
    await give('d', 'stat', 800)
    await give('e', 'routine', 50)
    const { items } = await stores.documents.find('worklist', { order: 'oldest' })
    expect(items.map(({ id }) => id)).toEqual(['d', 'b', 'c', 'e', 'a'])
  })

  it('says what was found, and takes no older revision for a newer one', async () => {
    await stage.hand(topics.studies, anAssessment(1, { study, id: 'r2', revision: 2 }))
    await stage.hand(topics.studies, anAssessment(1, { study, id: 'r1', revision: 1, findings: [] }))
    expect(await lineOf()).toMatchObject({ state: 'waiting', revision: 2, findings: ['chest: pneumonia'] })
    expect(await stores.documents.count('assessments', { study })).toBe(2)
  })

  it('lets go of what was reviewed, and has it back when there is more to read', async () => {
    await stage.hand(topics.studies, anAssessment(1, { study }))
    await stage.hand(topics.requests, reviewed(1))
    expect(await lineOf()).toMatchObject({ state: 'reviewed' })
    await stage.hand(topics.studies, anAssessment(1, { study }), { attempt: 2 })
    expect(await lineOf()).toMatchObject({ state: 'reviewed' })
    const changes = { images: ['in_9'], series: [], findings: [] }
    await stage.hand(topics.studies, anAssessment(1, { study, id: 'r2', revision: 2, changes }))
    expect(await lineOf()).toMatchObject({ state: 'waiting' })
    await stage.hand(topics.requests, reviewed(1))
    expect(await lineOf()).toMatchObject({ state: 'waiting' })
  })

  it('does not ask its reader to read their own correction', async () => {
    await stage.hand(topics.studies, anAssessment(1, { study }))
    await stage.hand(topics.requests, reviewed(1))
    const [finding] = anAssessment(1).findings
    const corrected = finding ? [{ ...finding, present: false, corrected: 1 }] : []
    const changes = { images: [], series: [], findings: [] }
    await stage.hand(topics.studies, anAssessment(1, { study, id: 'r2', revision: 2, changes, findings: corrected }))
    expect(await lineOf()).toMatchObject({ state: 'reviewed', revision: 2, findings: [] })
  })

  it('is one line, whoever writes it at the same moment', async () => {
    const events = Array.from({ length: 20 }, (_, n) => anAssessment(1, { study, id: `r${n}`, revision: n + 1 }))
    await Promise.all(events.map(event => stage.hand(topics.studies, event)))
    expect(await lineOf()).toMatchObject({ revision: 20 })
  })
})
