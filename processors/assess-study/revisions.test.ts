/** What makes another revision of an assessment and what does not, also where the documents are lost and the log is not. */
import { describe, expect, it } from 'vitest'
import { ids } from '../../schemas/ids.ts'
import { reportEquipment } from '../../schemas/own-report.ts'
import { type StudyAssessed, topics } from '../../schemas/topics.ts'
import { assessingPerTest, sick, study } from '../../tests/harness/assessing.ts'
import { until } from '../../tests/harness/until.ts'

const on = assessingPerTest()
const { start, stop, append, assessed, assessments, last, read, again, moved, image, answer, quiet } = on

describe('a revision', () => {
  async function first(): Promise<void> {
    await start({ rules: [{ images: 2 }], idleMs: { DX: 10_000 }, lateMs: 2_000 })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    await assessments(1)
  }

  it('says which images came late, and what they changed', async () => {
    await first()
    await append(topics.instances, image(11), image(12))
    await append(topics.predictions, answer(11, sick), answer(12))
    expect(await last(2)).toMatchObject({
      ...{ id: ids.studyRevision(study, 2), revision: 2, instances: 4, series: 2, completedBy: 'idle' },
      changes: {
        images: ['in_0011', 'in_0012'],
        series: ['1.2.3.2'],
        findings: [{ model: 'chest', label: 'pneumonia', group: null, before: false, after: true }],
      },
    })
  })

  it('is made of a correction, and not of agreement', async () => {
    await first()
    const said = { study, instance: 'in_0001', prediction: 'pr_0001', actor: 'dr' }
    await append(topics.feedback, { ...said, id: 'fb_1', verdict: 'agreed', label: null, at: on.clock.now() })
    await read()
    await quiet(20_000)
    expect(await assessed()).toHaveLength(1)
    await append(topics.feedback, { ...said, id: 'fb_1', verdict: 'corrected', label: 'pneumonia', at: on.clock.now() })
    expect(await last(2)).toMatchObject({
      revision: 2,
      findings: [{ present: true, positive: 1, corrected: 1, instances: ['in_0001'] }],
      changes: { images: [], series: [], findings: [{ before: false, after: true }] },
    })
  })

  it('is made of an answer that came after it was given up', async () => {
    await start({ rules: [{ images: 2 }], answersMs: 5_000, lateMs: 1_000 })
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1))
    expect(await last(1)).toMatchObject({ missing: [{ instance: 'in_0002' }] })
    await append(topics.predictions, answer(2, sick))
    expect(await last(2)).toMatchObject({
      revision: 2,
      missing: [],
      changes: { images: [], findings: [{ after: true }] },
    })
  })

  it('is not made of the reports that it led to, when the PACS sends them back', async () => {
    await first()
    await append(topics.instances, { ...image(11), equipment: { ...reportEquipment, station: null } })
    await read()
    await quiet(60_000)
    expect(await assessed()).toHaveLength(1)
  })

  it('is not made of events that come again', async () => {
    await first()
    await append(topics.instances, image(11))
    await append(topics.predictions, answer(11))
    const was = await assessments(2)
    await stop()
    await again()
    await start({ rules: [{ images: 2 }], idleMs: { DX: 10_000 } })
    await read()
    await quiet(60_000)
    expect(await assessed()).toEqual(was)
  })
})

describe('where the documents are new and the log is not', () => {
  const settings = { rules: [{ images: 2 }], idleMs: { DX: 10_000 }, lateMs: 1_000 }
  const other = { study: 'st_2' }
  const corrected = { id: 'fb_1', study, instance: 'in_0001', prediction: 'pr_0001', actor: 'dr' }

  /** Two revisions of one study, the second for a correction; and half of another study. */
  async function history(): Promise<StudyAssessed[]> {
    await start(settings)
    await append(topics.instances, image(1), image(2))
    await append(topics.predictions, answer(1), answer(2))
    await assessments(1)
    await append(topics.feedback, { ...corrected, verdict: 'corrected', label: 'pneumonia', at: on.clock.now() })
    const was = await assessments(2)
    await append(topics.instances, image(3, other))
    await append(topics.predictions, answer(3, other))
    await read()
    await stop()
    return was
  }

  it('says nothing again, forgets no study that was under way, and goes on with the revisions', async () => {
    const was = await history()
    await moved()
    await start(settings)
    expect(await last(3)).toMatchObject({ study: 'st_2', revision: 1, images: ['in_0003'], completedBy: 'idle' })
    await read()
    await quiet(60_000)
    expect((await assessed()).slice(0, 2)).toEqual(was)
    expect(await assessed()).toHaveLength(3)
    await append(topics.instances, image(4))
    await append(topics.predictions, answer(4))
    const third = (await assessments(4)).find(({ revision }) => revision === 3)
    expect(third).toMatchObject({ study, changes: { images: ['in_0004'] }, instances: 3 })
  })

  it('says nothing while it has not read what it said itself', async () => {
    const was = await history()
    await moved()
    // A partition of its own: held back as long as it likes, while the images are read.
    const released = Promise.withResolvers<void>()
    const { codec } = on
    const slow: typeof codec = {
      ...codec,
      async decode(topic, record) {
        if (topic.name === topics.studies.name) await released.promise
        return codec.decode(topic, record)
      },
    }
    on.codec = slow
    await start(settings)
    await until('the images are read', async () => (await on.documents.count('studyAnswers')) === 3)
    await quiet(120_000)
    on.codec = codec
    expect(await assessed()).toEqual(was)
    released.resolve()
    expect(await last(3)).toMatchObject({ study: 'st_2', revision: 1 })
  })
})
