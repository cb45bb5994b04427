/** The seam of study reports: what formats are given, and what becomes of what they give. */
import { join } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createCodec } from '../../../kafka/codec.ts'
import type { EmbeddedLog } from '../../../kafka/embedded/log.ts'
import { chestDicom } from '../../../producers/simulator/phantoms.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { ids } from '../../../schemas/ids.ts'
import { type Report, type StudyAssessed, topics } from '../../../schemas/topics.ts'
import { began } from '../../../tests/gateway/samples.ts'
import { openForTest } from '../../../tests/harness/stage.ts'
import { openLog, openStores, type Stores } from '../../../tests/harness/stores.ts'
import { keepStudy } from '../../../tests/reports/kit.ts'
import { reportStage } from '../stage.ts'
import { type RenderedReport, type StudyContent, type StudyFormat, type StudyTools, whole } from './format.ts'

let opened: Stores
let stores: Stores & { log: EmbeddedLog }
beforeEach(async () => {
  opened = await openStores()
  stores = { ...opened, log: await openLog(join(opened.folder, 'log')) }
})
afterEach(async () => {
  await stores.log.close()
  await opened.close()
})

type Render = (content: StudyContent, tools: StudyTools) => Promise<readonly RenderedReport[]>

const asJson: Render = async content => whole(Buffer.from(JSON.stringify(content)))
const formatOf = (name: string, render: Render): StudyFormat => ({ name, contentType: 'text/plain', render })

interface Made {
  events: Report[]
  content(format?: string): Promise<StudyContent>
}

async function report(
  assessed: StudyAssessed,
  formats: Record<string, Render> = { json: asJson },
  options: { settings?: object; showNames?: boolean; deps?: Partial<Stores> } = {},
): Promise<Made> {
  const registry = Object.fromEntries(
    Object.entries(formats).map(([name, render]) => [name, () => formatOf(name, render)]),
  )
  const { deps, ...rest } = options
  const stage = await openForTest(reportStage(registry, Object.keys(formats)), { ...stores, ...deps }, rest)
  try {
    const emitted = await stage.hand(topics.studies, assessed)
    const events = emitted.map(({ event }) => event as Report)
    return {
      events,
      async content(format = 'json') {
        const key = events.find(one => one.format === format && one.outcome === 'made')?.object
        return JSON.parse((await stores.objects.get(key ?? '')).toString())
      },
    }
  } finally {
    await stage.close()
  }
}

const chests = (count: number, study = 7) =>
  Array.from({ length: count }, (_, i) => chestDicom(study * 100 + i, { study, size: 64 }))

describe('what formats are given', () => {
  it('is the study: event, images in order, what was said of each, who it is, and where it was made', async () => {
    const files = chests(3)
    const { assessed, instances } = await keepStudy(stores, files, {
      said: i => (i === 1 ? null : { quality: ['near-threshold'] }),
    })
    const content = await (await report(assessed)).content()
    expect(content.assessed).toEqual(assessed)
    expect(content.madeAt).toBe(assessed.assessedAt)
    expect(content.images.map(({ id }) => id).sort()).toEqual(instances.map(({ id }) => id).sort())
    expect(content.images.map(({ said }) => said.length).sort()).toEqual([0, 1, 1])
    expect(content.images[0]?.instance).toEqual(instances.find(({ id }) => id === content.images[0]?.id))
    const said = content.images.find(one => one.said.length > 0)?.said[0]?.prediction
    expect(said).toMatchObject({ quality: ['near-threshold'], model: { name: 'chest', digest: 'd'.repeat(64) } })
    expect(content.institution).toBe('Demonstration')
    expect(content.header?.['00100010']?.Value?.[0]).toEqual({ Alphabetic: content.identity?.name })
    expect(content.header?.['0020000D']?.Value).toEqual([instances[0]?.dicom?.study])
    expect(content.identity?.name).toMatch(/^Demo\^Phantom/)
    expect(content.identity?.accession).toMatch(/^A\d+/)
    expect(content.codes.pneumonia).toMatchObject({ scheme: 'SCT', value: '233604007' })
    expect(content).toMatchObject({ predecessor: null, earlier: [], language: 'en', researchUseOnly: true })
  })

  it('is the same whenever it is gathered: what came after the assessment is not in it', async () => {
    const { assessed, predictions } = await keepStudy(stores, chests(2))
    const [first] = predictions
    if (!first) throw new Error('nothing was said')
    const before = await report(assessed)
    const late = (assessed.assessedAt ?? 0) + 1
    await stores.documents.upsert('predictions', [{ ...first, id: 'pr_late', label: 'normal', predictedAt: late }])
    await stores.documents.upsert('feedback', [
      {
        ...{ id: 'fb_late', site: 'main', study: assessed.study, instance: first.instance, prediction: first.id },
        ...{ verdict: 'corrected', label: 'normal', comment: null, actor: 'someone', at: late },
      },
    ])
    expect((await report(assessed)).events[0]?.object).toBe(before.events[0]?.object)
  })

  it('has the newest answer of each model in use, and what a person said of it', async () => {
    const { assessed, predictions } = await keepStudy(stores, chests(1))
    const [first] = predictions
    if (!first) throw new Error('nothing was said')
    const older = { ...first, id: 'pr_older', label: 'normal', predictedAt: first.predictedAt - 1 }
    const shadow = { ...first, id: 'pr_shadow', role: 'shadow' as const, model: { ...first.model, name: 'other' } }
    await stores.documents.upsert('predictions', [older, shadow])
    await stores.documents.upsert('feedback', [
      {
        ...{ id: 'fb_1', site: 'main', study: assessed.study, instance: first.instance, prediction: first.id },
        ...{ verdict: 'corrected', label: 'normal', comment: null, actor: 'someone', at: first.predictedAt + 10 },
      },
    ])
    const [image] = (await (await report(assessed)).content()).images
    expect(image?.said.map(({ prediction }) => prediction.id)).toEqual([first.id])
    expect(image?.said[0]?.verdict).toMatchObject({ verdict: 'corrected', label: 'normal' })
  })

  it('names earlier studies of the patient, newest first, and no later one', async () => {
    const at = (days: number) => began + days * 86_400_000
    const study = (n: number, days: number) => keepStudy(stores, chests(1, n), { at: at(days) })
    const [oldest, old, now, later] = [await study(1, 0), await study(2, 5), await study(3, 9), await study(4, 20)]
    const patient = now.assessed.patient
    for (const { assessed } of [oldest, old, now, later]) {
      const known = await stores.documents.get('studies', assessed.study)
      if (known) await stores.documents.upsert('studies', [{ ...known, patient }])
    }
    const { earlier } = await (await report(now.assessed)).content()
    expect(earlier.map(one => one.study)).toEqual([old.assessed.study, oldest.assessed.study])
    expect(earlier[0]).toMatchObject({ revision: 1, findings: [{ label: 'pneumonia', present: true }] })
    const one = await report(now.assessed, { json: asJson }, { settings: { earlierStudies: 1 } })
    expect((await one.content()).earlier).toHaveLength(1)
  })

  it('says what is missing: an image that was erased, a picture and a header that cannot be had', async () => {
    const { assessed, instances } = await keepStudy(stores, chests(2))
    await stores.documents.delete('instances', instances[0]?.id ?? '')
    await stores.objects.delete(instances[1]?.object.key ?? '')
    const made = await report(assessed, {
      json: async (content, tools) => {
        const previews = await Promise.all(content.images.map(image => tools.preview(image, { size: 32 })))
        const headers = await Promise.all(content.images.map(image => tools.header(image)))
        return whole(Buffer.from(JSON.stringify({ ...content, previews, headers })))
      },
    })
    const content = (await made.content()) as StudyContent & { previews: object[]; headers: object[] }
    expect(content.images.map(({ lost }) => lost)).toEqual([null, 'The image was erased.'])
    expect(content.previews).toEqual([
      { missing: expect.stringContaining('gone') },
      { missing: 'The image was erased.' },
    ])
    expect(content.headers).toEqual(content.previews)
    expect(content.header).toBeNull()
    // Persist sealed the name before the object went.
    expect(content.identity).toMatchObject({ name: expect.stringContaining('Demo'), accession: null })
  })

  it('has pictures and headers on demand, and what another format gives', async () => {
    const { assessed } = await keepStudy(stores, chests(1))
    const calls: string[] = []
    const made = await report(assessed, {
      picture: async ({ images: [image] }, tools) => {
        calls.push('picture')
        const shown = image && (await tools.preview(image, { size: 32 }))
        return shown && 'png' in shown ? whole(shown.png) : []
      },
      wrapped: async (_, tools) => [...(await tools.rendered('picture')), ...(await tools.rendered('nothing'))],
    })
    const [picture, wrapped] = made.events
    expect(wrapped?.object).toBe(picture?.object)
    expect(calls).toEqual(['picture'])
    expect(await sharp(await stores.objects.get(picture?.object ?? '')).metadata()).toMatchObject({ width: 32 })
  })
})

describe('a study on the log', () => {
  it('gives an event for each file, and the same ones when it comes again', async () => {
    const { assessed } = await keepStudy(stores, chests(2))
    const pages: Render = async () =>
      ['a', 'b'].map(part => ({ part, instance: `in_${part}`, bytes: Buffer.from(part) }))
    const formats = { json: asJson, pages, none: async () => [] }
    const first = (await report(assessed, formats)).events
    expect(first.map(({ format, outcome, id }) => [format, outcome, id])).toEqual([
      ['json', 'made', ids.studyReport(assessed.id, 'json', null)],
      ['pages', 'made', ids.studyReport(assessed.id, 'pages', 'a')],
      ['pages', 'made', ids.studyReport(assessed.id, 'pages', 'b')],
    ])
    expect(first[0]).toMatchObject({ revision: 1, prediction: null, instance: null, destination: 'store', code: null })
    expect(first.map(({ instance }) => instance)).toEqual([null, 'in_a', 'in_b'])
    const withoutTime = (events: Report[]) => events.map(event => ({ ...event, at: 0 }))
    expect(withoutTime((await report(assessed, formats)).events)).toEqual(withoutTime(first))
    expect(await createCodec(stores.log).encode(topics.reports, first[0] as Report)).toBeInstanceOf(Buffer)
  })

  it('that was revised supersedes what was made of the revision before, and knows it', async () => {
    const { assessed } = await keepStudy(stores, chests(2))
    const pages: Render = async () => [{ part: 'x', instance: 'in_x', bytes: Buffer.from('x') }]
    const before = await report(assessed, { json: asJson, pages })
    const second = { ...assessed, id: ids.studyRevision(assessed.study, 2), revision: 2 }
    const after = await report(second)
    expect(after.events.map(({ outcome, revision, id }) => [outcome, revision, id])).toEqual([
      ['made', 2, ids.studyReport(second.id, 'json', null)],
      ['superseded', 1, before.events[0]?.id],
      ['superseded', 1, before.events[1]?.id],
    ])
    expect(after.events[1]?.object).toBe(before.events[0]?.object)
    expect(after.events.map(({ instance }) => instance)).toEqual([null, null, 'in_x'])
    expect((await after.content()).predecessor).toMatchObject({
      revision: 1,
      reports: [
        { format: 'json', part: null },
        { format: 'pages', part: 'x' },
      ],
    })
    // Only what is read again from the beginning is said again; a revision that was parked meanwhile is out of date.
    expect((await report(assessed)).events).toHaveLength(1)
    const third = { ...assessed, id: ids.studyRevision(assessed.study, 3), revision: 3 }
    await stores.documents.delete('studyReports', assessed.id)
    await report(third)
    expect((await report(assessed)).events).toEqual([])
  })

  it('knows of each format and part the newest report before it, where the revision before has none', async () => {
    const { assessed } = await keepStudy(stores, chests(1))
    const revised = (revision: number) => ({ ...assessed, id: ids.studyRevision(assessed.study, revision), revision })
    const pages: Render = async () => ['a', 'b'].map(part => ({ part, bytes: Buffer.from(part) }))
    const refused: Render = () => Promise.reject(new RaylogError('no-pixels', 'nothing there'))
    await report(assessed, { json: asJson, pages })
    await report(revised(2), { json: asJson, pages: refused })
    const { predecessor } = await (await report(revised(3), { json: asJson, pages })).content()
    expect(predecessor?.revision).toBe(2)
    const known = predecessor?.reports.map(({ format, part, revision }) => [format, part, revision])
    expect(known).toEqual([
      ['json', null, 2],
      ['pages', 'a', 1],
      ['pages', 'b', 1],
    ])
    const { predecessor: next } = await (await report(revised(4))).content()
    expect(next?.reports.map(({ format, revision }) => [format, revision])).toEqual([
      ['json', 3],
      ['pages', 3],
      ['pages', 3],
    ])
  })

  it('is reported in the other formats where one fails, which is said', async () => {
    const { assessed } = await keepStudy(stores, chests(1))
    let calls = 0
    const made = await report(assessed, {
      broken: () => Promise.reject(new RaylogError('no-pixels', 'nothing there')),
      dies: () => {
        calls += 1
        return Promise.reject(new RaylogError('worker-died', 'dead'))
      },
      json: asJson,
    })
    expect(made.events.map(({ format, outcome, code, object }) => [format, outcome, code, object !== null])).toEqual([
      ['broken', 'refused', 'no-pixels', false],
      ['dies', 'refused', 'worker-died', false],
      ['json', 'made', null, true],
    ])
    expect(calls).toBe(3)
  })

  it('waits for a store that is away, and says nothing until then', async () => {
    const { assessed } = await keepStudy(stores, chests(1))
    const away = { ...stores.objects, put: () => Promise.reject(new RaylogError('store-unavailable', 'away')) }
    await expect(report(assessed, { json: asJson }, { deps: { objects: away } })).rejects.toMatchObject({
      code: 'store-unavailable',
    })
  })

  it('waits until persist has read what it was assessed from', async () => {
    const { assessed, instances } = await keepStudy(stores, chests(1))
    const [instance] = instances
    if (!instance) throw new Error('no instance')
    const codec = createCodec(stores.log)
    const value = await codec.encode(topics.instances, instance)
    const timestamp = began
    const [at] = await stores.log.append([{ topic: topics.instances.name, key: instance.study, value, timestamp }])
    if (!at) throw new Error('nothing was appended')
    // Without a persist nothing is waited for.
    expect((await report(assessed)).events).toHaveLength(1)
    const subscription = await stores.log.subscribe(
      { group: 'persist', topics: [topics.instances.name], from: 'earliest' },
      { records: () => undefined },
    )
    await subscription.commit([at])
    await expect(report(assessed)).rejects.toMatchObject({ code: 'busy' })
    await subscription.commit([{ ...at, offset: at.offset + 1 }])
    expect((await report(assessed)).events).toHaveLength(1)
    await subscription.close()
  })
})
