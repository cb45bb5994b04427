/** Each thing that a rule can say, with a report that it fits and one that it does not, as the stage judges them. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { platformConfig } from '../../schemas/config.ts'
import { ids } from '../../schemas/ids.ts'
import { type Prediction, type Report, type StudyAssessed, topics } from '../../schemas/topics.ts'
import { anAssessment, anInstance, aPrediction } from '../../tests/gateway/samples.ts'
import { aReport } from '../../tests/harness/reports.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { deliver } from './stage.ts'

let stores: Stores
let cases = 0
beforeAll(async () => {
  stores = await openStores()
})
afterAll(() => stores.close())

const peers = ['CT1', 'MR1'].map(aeTitle => ({ name: `${aeTitle}-of-north`, aeTitle, services: [] }))

/** Destinations that are given the report: each has the one rule of its name. */
async function givenTo(rules: Record<string, object>, report: Report): Promise<string[]> {
  const path = join(stores.folder, 'share')
  const destinations = Object.entries(rules).map(([name, rule]) => ({ name, kind: 'folder', path, rules: [rule] }))
  const network = { peers: platformConfig.parse({ peers }).peers, dicomTls: null }
  const stage = await openForTest(deliver, stores, { settings: { destinations }, network, publish: async () => [] })
  await stage.hand(topics.reports, report).finally(() => stage.close())
  return queuedFor(report)
}

async function queuedFor(report: Report): Promise<string[]> {
  const { items } = await stores.documents.find('reportDeliveries', { where: { report: report.id } })
  return items.map(({ destination }) => destination).toSorted()
}

/** A report of a study: urgent, of DX, at main, with pneumonia found by chest@1.0.0. */
async function ofStudy(over: Partial<StudyAssessed> = {}): Promise<Report> {
  const study = anAssessment(++cases, over)
  await stores.documents.upsert('assessments', [{ ...study, id: ids.studyRevision(study.study, study.revision) }])
  return aReport(stores, cases, { study: study.study, site: study.site, revision: study.revision, format: 'csv' })
}

/** A report of one image's answer. */
async function ofPrediction(over: Partial<Prediction> = {}, priority: 'routine' | 'stat' = 'routine'): Promise<Report> {
  const prediction = aPrediction(++cases, over)
  await stores.documents.upsert('predictions', [prediction])
  await stores.documents.upsert('instances', [anInstance(cases, { id: prediction.instance, priority })])
  return aReport(stores, cases, { prediction: prediction.id, revision: null, format: 'pdf' })
}

const [found = expect.unreachable('a finding')] = anAssessment(1).findings
const looked = { findings: [{ ...found, present: false, score: 0.1 }] }
const mixed = { findings: [found, { ...found, ...looked.findings[0], label: 'effusion' }] }

describe('a rule fits the report of a study by', () => {
  it.each<[string, { fits: object; not: object; study?: Partial<StudyAssessed> }]>([
    ['formats', { fits: { formats: ['json', 'csv'] }, not: { formats: ['json'] } }],
    ['sites', { fits: { sites: ['north', 'main'] }, not: { sites: ['north'] } }],
    ['models, any version', { fits: { models: ['breast', 'chest'] }, not: { models: ['breast'] } }],
    ['models, one version', { fits: { models: ['chest@1.0.0'] }, not: { models: ['chest@2.0.0'] } }],
    ['modalities', { fits: { modalities: ['CR', 'DX'] }, not: { modalities: ['CR', 'MG'] } }],
    ['modalities, where it has none', { fits: {}, not: { modalities: ['DX'] }, study: { modality: null } }],
    ['labels', { fits: { labels: ['pneumonia'] }, not: { labels: ['effusion'] } }],
    ['what was found', { fits: { present: true }, not: { present: false } }],
    ['what was not', { fits: { present: false }, not: { present: true }, study: looked }],
    ['what was not, though named', { fits: { labels: ['pneumonia'] }, not: { present: true }, study: looked }],
    [
      'what was found of a label',
      { fits: { labels: ['pneumonia'], present: true }, not: { labels: ['effusion'], present: true }, study: mixed },
    ],
    [
      'what was not found of a label',
      { fits: { labels: ['effusion'], present: false }, not: { labels: ['pneumonia'], present: false }, study: mixed },
    ],
    ['priorities', { fits: { priorities: ['stat', 'urgent'] }, not: { priorities: ['stat', 'routine'] } }],
    [
      'priorities, stat',
      { fits: { priorities: ['stat', 'urgent'] }, not: { priorities: ['urgent'] }, study: { priority: 'stat' } },
    ],
    [
      'priorities, routine',
      { fits: { priorities: ['routine'] }, not: { priorities: ['stat', 'urgent'] }, study: { priority: 'routine' } },
    ],
    ['revisions, the first', { fits: { revisions: 'first' }, not: { revisions: 'later' } }],
    ['revisions, a later one', { fits: { revisions: 'later' }, not: { revisions: 'first' }, study: { revision: 2 } }],
    [
      'all that it says',
      { fits: { modalities: ['DX'], sites: ['main'] }, not: { modalities: ['DX'], sites: ['north'] } },
    ],
  ])('%s', async (_, { fits, not, study }) => {
    expect(await givenTo({ fits, not }, await ofStudy(study))).toEqual(['fits'])
  })
})

describe('a rule fits the report of one answer by', () => {
  const below = { label: 'normal', score: 0.49, threshold: 0.5 }
  const at = { label: 'pneumonia', score: 0.5, threshold: 0.5 }
  const ofClasses = { label: '7', score: 0.4, threshold: null }
  it.each<[string, { fits: object; not: object; said?: Partial<Prediction>; priority?: 'stat' }]>([
    [
      'what is below the threshold: it was not found',
      { fits: { present: false }, not: { present: true }, said: below },
    ],
    ['what is at the threshold', { fits: { present: true }, not: { present: false }, said: at }],
    ['the likeliest of several classes', { fits: { present: true }, not: { present: false }, said: ofClasses }],
    ['models', { fits: { models: ['chest@1.0.0'] }, not: { models: ['breast'] } }],
    ['modalities', { fits: { modalities: ['DX'] }, not: { modalities: ['CT'] } }],
    ['priorities of its image', { fits: { priorities: ['stat'] }, not: { priorities: ['routine'] }, priority: 'stat' }],
    ['revisions: it counts as first', { fits: { revisions: 'first' }, not: { revisions: 'later' } }],
  ])('%s', async (_, { fits, not, said, priority }) => {
    expect(await givenTo({ fits, not }, await ofPrediction(said, priority))).toEqual(['fits'])
  })
})

describe('a rule fits by who sent the images', () => {
  const rules = {
    ct: { peers: ['CT1-of-north'] },
    mr: { peers: ['MR1-of-north'] },
    either: { peers: ['CT1-of-north', 'MR1-of-north'] },
    'ct-with-another-label': { peers: ['CT1-of-north'], labels: ['effusion'] },
    all: {},
  }
  const from = (kind: 'dimse' | 'retrieve' | 'upload', peer: string) => ({ source: { kind, peer } })

  it('of a study, some image of those that it covers, by those that are there; where that fits none, all must be', async () => {
    const study = `st_sent_${++cases}`
    const [one, two, later] = [1, 2, 3].map(n => `in_${study}_${n}`)
    const report = await ofStudy({ study, images: [one ?? '', two ?? ''] })
    const instance = (id: string | undefined, over: object) => anInstance(cases, { ...over, id: id ?? '', study })
    const keep = (...all: ReturnType<typeof anInstance>[]) => stores.documents.upsert('instances', all)
    await keep(instance(one, from('upload', 'CT1')), instance(later, from('dimse', 'MR1')))
    await expect(givenTo(rules, { ...report, at: Date.now() })).rejects.toMatchObject({ code: 'busy' })
    expect(await queuedFor(report), 'who does not ask for it waits for nothing').toEqual(['all'])
    await keep(instance(two, from('dimse', 'CT1')))
    expect(await givenTo(rules, report)).toEqual(['all', 'ct', 'either'])
    await stores.documents.delete('instances', one ?? '')
    const { mr, ...others } = rules
    const again = { ...report, id: `${report.id}_again` }
    expect(await givenTo(others, again), 'one that was erased').toEqual(['all', 'ct', 'either'])
    await expect(givenTo({ mr }, again)).rejects.toMatchObject({ code: 'not-found' })
  })

  it('of one answer, its image, also where it was retrieved from the peer', async () => {
    const report = await ofPrediction()
    const prediction = await stores.documents.get('predictions', report.prediction ?? '')
    const id = prediction?.instance ?? ''
    await stores.documents.upsert('instances', [anInstance(cases, { id, ...from('retrieve', 'MR1-of-north') })])
    expect(await givenTo(rules, report)).toEqual(['all', 'either', 'mr'])
  })

  it('and says at the start which peer there is not', async () => {
    await expect(givenTo({ who: { peers: ['nobody'] } }, await ofStudy())).rejects.toMatchObject({
      ...{ code: 'config-invalid', message: expect.stringContaining('nobody') },
    })
  })
})
