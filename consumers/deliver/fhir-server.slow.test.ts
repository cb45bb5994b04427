/** Bundles of studies to a FHIR server that is not ours, and what anyone finds there afterwards. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ids } from '../../schemas/ids.ts'
import { topics } from '../../schemas/topics.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { aReport } from '../../tests/harness/reports.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { aContent, aFinding, aRevision, identity } from '../../tests/reports/content.ts'
import { type Fhir, fhirHome, startFhir } from '../../tests/services/servers/fhir.ts'
import { studyBundle } from '../report/formats/fhir/bundle.ts'
import type { StudyContent } from '../report/study/format.ts'
import { deliver } from './stage.ts'

const installed = await fhirHome()

const reference = z.looseObject({ reference: z.string().optional() })
const resource = z.looseObject({
  ...{ resourceType: z.string(), id: z.string(), meta: z.looseObject({ versionId: z.string() }) },
  status: z.string().optional(),
})
const found = z.looseObject({ entry: z.array(z.looseObject({ resource })).default([]) })
const report = resource.extend({
  ...{ subject: reference, result: z.array(reference), imagingStudy: z.array(reference) },
  ...{ identifier: z.array(z.looseObject({ system: z.string(), value: z.string() })), conclusion: z.string() },
  presentedForm: z.array(z.looseObject({ data: z.string() })),
})
type Resource = z.infer<typeof resource>

const pdf = Buffer.from('%PDF-1.7 of a study')
const types = ['Patient', 'ImagingStudy', 'Device', 'Observation', 'DiagnosticReport', 'Provenance'] as const
/** As soon as they can be. */
const quick = { backoffMs: 100, maxBackoffMs: 500, restMs: 200, maxRestMs: 500 }

/** The content of another study of the same patient, by the same model. */
function ofStudy(n: number, content: StudyContent): StudyContent {
  const study = ids.study('main', `1.2.3.${n}`)
  const { assessed, images } = content
  return {
    ...content,
    assessed: { ...assessed, study, id: ids.studyRevision(study, assessed.revision) },
    images: images.map(image => ({
      ...image,
      instance: image.instance && {
        ...image.instance,
        study,
        dicom: image.instance.dicom && { ...image.instance.dicom, study: `1.2.3.${n}` },
      },
    })),
  }
}

/** Between us and the server: away, or losing an answer to what the server has done. */
async function startRelay(to: string) {
  const port = await freePort()
  const relay = { url: `http://127.0.0.1:${port}`, loseNext: false }
  const server = createServer(async (request, response) => {
    const headers = { 'content-type': String(request.headers['content-type']) }
    const body = await request.toArray().catch(() => null)
    if (!body) return // broken off by whoever sent it
    const answer = await fetch(to, { method: 'POST', headers, body: Buffer.concat(body) })
    const text = await answer.text()
    if (!relay.loseNext) return response.writeHead(answer.status).end(text)
    relay.loseNext = false
    return response.destroy()
  })
  const back = () => once(server.listen(port, '127.0.0.1'), 'listening')
  const away = async () => {
    server.closeAllConnections()
    if (server.listening) await once(server.close(), 'close')
  }
  await back()
  return Object.assign(relay, { back, away })
}

describe.skipIf('missing' in installed)(
  `a FHIR server (${'missing' in installed ? `skipped: ${installed.missing}` : 'HAPI'})`,
  () => {
    let fhir: Fhir
    let relay: Awaited<ReturnType<typeof startRelay>>
    let stores: Stores
    let stage: OpenedStage
    let reports = 0

    beforeAll(async () => {
      if ('missing' in installed) return
      fhir = await startFhir(installed.home)
      relay = await startRelay(fhir.url)
    }, 300_000)
    afterAll(async () => {
      await relay?.away()
      await fhir?.[Symbol.asyncDispose]()
    })
    beforeEach(async () => {
      stores = await openStores()
      stage = await openForTest(deliver, stores, {
        settings: { destinations: [{ name: 'fhir', kind: 'fhir', url: relay.url, ...quick }], pollMs: 100 },
        publish: async () => [],
      })
    })
    afterEach(async () => {
      await stage.close()
      await stores.close()
    })

    async function hand(content: StudyContent) {
      const { study, revision } = content.assessed
      const bundle = studyBundle(content, { systems: { patients: {}, accessions: null }, pdf })
      const fields = { format: 'fhir', content: Buffer.from(JSON.stringify(bundle)), study, revision }
      await stage.hand(topics.reports, await aReport(stores, ++reports, fields))
    }
    const sent = (count: number) =>
      until(`${count} are sent`, async () => {
        const states = await stores.documents.countBy('reportDeliveries', 'state')
        if (states.refused) throw new Error(JSON.stringify((await stores.documents.find('reportDeliveries')).items))
        return states.sent === count
      })
    /** Asked past the relay, as another system would. */
    const get = async (path: string): Promise<unknown> => {
      const answer = await fetch(`${fhir.url}/${path}`, { headers: { 'cache-control': 'no-cache' } })
      expect(answer.status, path).toBe(200)
      return answer.json()
    }
    const all = async (type: string): Promise<Resource[]> =>
      found.parse(await get(`${type}?_count=200`)).entry.map(({ resource: one }) => one)
    const reportOf = async (study: string) => {
      const reports = (await all('DiagnosticReport')).map(one => report.parse(one))
      const [first, ...more] = reports.filter(({ identifier }) => identifier.some(({ value }) => value === study))
      expect(more).toEqual([])
      return report.parse(first)
    }
    const everything = async () =>
      (await Promise.all(types.map(all)))
        .flat()
        .map(({ resourceType, id, meta }) => `${resourceType}/${id} ${meta.versionId}`)

    it('has a study as resources that refer to each other, and the same bundle again changes none of them', async () => {
      const content = ofStudy(1, aContent())
      await hand(content)
      await sent(1)
      const one = await reportOf(content.assessed.study)
      expect(one.status).toBe('preliminary')
      expect(Buffer.from(one.presentedForm[0]?.data ?? '', 'base64')).toEqual(pdf)
      const [observation] = await Promise.all(one.result.map(async ({ reference: to }) => get(String(to))))
      expect(observation).toMatchObject({
        ...{ resourceType: 'Observation', subject: one.subject, derivedFrom: one.imagingStudy },
        valueCodeableConcept: { coding: [{ system: 'http://snomed.info/sct', code: '52101004' }] },
      })
      expect(await get(String(one.imagingStudy[0]?.reference))).toMatchObject({ numberOfInstances: 2 })
      expect(await get(String(one.subject.reference))).toMatchObject({ name: [{ family: 'Yamada' }, {}, {}] })
      // Each reference in each of them leads somewhere.
      const there = (await Promise.all(types.map(all))).flat()
      const references = [...JSON.stringify(there).matchAll(/"reference":"([^"]*)"/g)].map(([, to]) => to ?? '')
      expect(references.length).toBeGreaterThan(8)
      for (const to of new Set(references)) expect(await get(to)).toMatchObject({ resourceType: to.split('/')[0] })

      const before = await everything()
      await hand(content)
      await sent(2)
      expect(await everything()).toEqual(before)
    })

    it('has a revision in the place of what it replaces, and what was there in its history', async () => {
      const first = ofStudy(2, aContent())
      await hand(first)
      await sent(1)
      const before = await reportOf(first.assessed.study)
      const { assessed, ...revised } = ofStudy(2, aRevision())
      const findings = [aFinding({ present: false, score: 0.2 })]
      await hand({ ...revised, assessed: { ...assessed, findings } })
      await sent(2)
      const after = await reportOf(first.assessed.study)
      expect(after).toMatchObject({ id: before.id, status: 'amended', result: before.result })
      expect(await get(String(after.result[0]?.reference))).toMatchObject({
        ...{ status: 'amended', interpretation: [{ coding: [{ code: 'NEG' }] }] },
      })
      expect(await get(`DiagnosticReport/${before.id}/_history/1`)).toMatchObject({ status: 'preliminary' })
      // The revision says which it takes the place of, by the identifier that its predecessor has in the history.
      const provenance = found.parse(await get(`Provenance?target=DiagnosticReport/${before.id}&_sort=recorded`)).entry
      expect(provenance).toHaveLength(2)
      expect(provenance[1]?.resource).toMatchObject({
        ...{
          activity: { coding: [{ code: 'UPDATE' }] },
          target: [{ reference: `DiagnosticReport/${before.id}` }, {}, {}],
        },
        entity: [{ role: 'source' }, { role: 'revision', what: { identifier: before.identifier[1] } }],
      })
    })

    it('is waited for while it is away, and has the study once, also where its answer was lost', async () => {
      const content = ofStudy(3, aContent())
      await relay.away()
      await hand(content)
      const pending = async () =>
        (await stores.documents.find('reportDeliveries', { where: { state: 'pending' } })).items[0]
      const waits = (code: string) => until(`it waits: ${code}`, async () => (await pending())?.code === code)
      await waits('peer-unavailable')
      await relay.back()
      await sent(1)
      expect((await reportOf(content.assessed.study)).meta.versionId).toBe('1')

      const lost = ofStudy(4, aContent())
      relay.loseNext = true
      await hand(lost)
      await sent(2)
      const { items } = await stores.documents.find('reportDeliveries', { where: { study: lost.assessed.study } })
      expect(items[0]).toMatchObject({ redelivered: true })
      expect((await reportOf(lost.assessed.study)).meta.versionId).toBe('1')
    })

    it('has one patient and one device of a model, however many studies come at once', async () => {
      const patient = { ...identity, patientId: 'P-18' }
      const studies = Array.from({ length: 12 }, (_, n) => ofStudy(10 + n, aContent({ identity: patient })))
      await Promise.all(studies.map(hand))
      await sent(studies.length)
      const patients = (await all('Patient')).filter(one => JSON.stringify(one).includes('P-18'))
      expect(patients).toHaveLength(1)
      for (const { assessed } of studies) await reportOf(assessed.study)
      // The model, and Raylog itself.
      expect(await all('Device')).toHaveLength(2)
    })
  },
)
