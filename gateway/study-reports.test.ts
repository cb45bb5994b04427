import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { studyFormats } from '../consumers/report/formats.ts'
import { openThreads } from '../consumers/report/threads.ts'
import { reportType } from '../schemas/report-types.ts'
import { type Report, topics } from '../schemas/topics.ts'
import { type Started, startGateway } from '../tests/gateway/kit.ts'
import { aReport, aStudy } from '../tests/gateway/samples.ts'
import { until } from '../tests/harness/until.ts'

let gateway: Started
const study = 'st_0001'
const formats = ['pdf-study', 'fhir', 'hl7', 'json', 'csv', 'dicom-sr', 'of-tomorrow']

beforeAll(async () => {
  gateway = await startGateway()
  const { documents, objects } = gateway
  await documents.upsert('studies', [aStudy(1, { id: study, studyUid: '1.2.3', patient: 'pt_7' })])
  const of = async (n: number, format: string, over: Partial<Report>): Promise<Report> => {
    const object = await objects.put(Buffer.from(`${format} ${n}`), 'text/plain')
    const what = { study, prediction: null, instance: null, destination: 'store', object: object.key }
    return aReport(n, { ...what, format, bytes: object.bytes, ...over })
  }
  const second = await Promise.all(formats.map((format, i) => of(20 + i, format, { revision: 2 })))
  await documents.upsert('reports', [
    await of(1, 'json', { revision: 1, outcome: 'superseded' }),
    ...second,
    aReport(40, { study, revision: 2, prediction: null, format: 'dicom-seg', object: null, outcome: 'refused' }),
    aReport(41, { study, revision: 2, prediction: null, format: 'hl7', destination: 'ris', outcome: 'sent' }),
  ])
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

interface Listed {
  items: {
    id: string
    format: string
    revision: number | null
    fileName: string
    href: string | null
    outcome: string
  }[]
}
const list = async () => (await (await gateway.ask(`/api/v1/studies/${study}/reports`)).json()) as Listed

describe('the reports of a study', () => {
  it('are listed with their revision, the newest first, and what became of each', async () => {
    const { items } = await list()
    expect(items.map(({ revision }) => revision)).toEqual([...Array(8).fill(2), 1])
    expect(items.at(-1)).toMatchObject({ outcome: 'superseded', format: 'json' })
    expect(items.find(({ format }) => format === 'dicom-seg')).toMatchObject({ outcome: 'refused', href: null })
    expect((await gateway.ask('/api/v1/studies/none/reports')).status).toBe(404)
  })

  it.each([
    ['pdf-study', 'application/pdf', 'inline', 'pdf'],
    ['fhir', 'application/fhir+json', 'attachment', 'json'],
    ['hl7', 'x-application/hl7-v2+er7; charset=utf-8', 'attachment', 'hl7'],
    ['json', 'application/json', 'attachment', 'json'],
    ['csv', 'text/csv; charset=utf-8; header=present', 'attachment', 'csv'],
    ['dicom-sr', 'application/dicom', 'attachment', 'dcm'],
    ['of-tomorrow', 'application/octet-stream', 'attachment', 'bin'],
  ])('come as what they are, under a name that names nobody: %s', async (format, type, disposition, extension) => {
    const one = (await list()).items.find(item => item.format === format && item.revision === 2)
    const answer = await gateway.ask(one?.href ?? '')
    expect(answer.headers.get('content-type')).toBe(type)
    const name = `st_0001-r2-${format}-${one?.id.slice(-6)}.${extension}`
    expect(one?.fileName).toBe(name)
    expect(answer.headers.get('content-disposition')).toBe(`${disposition}; filename="${name}"`)
    expect(await answer.text()).toMatch(new RegExp(`^${format} `))
  })

  it('are accesses: each download is told to the audit, with format, study and pseudonym', async () => {
    const first = (await list()).items.find(({ format }) => format === 'pdf-study')
    await (await gateway.ask(first?.href ?? '')).text()
    const { log, codec } = gateway.ports
    const told = await until('the download is on the log', async () => {
      const records = await log.read({ topic: topics.audit.name, partition: 0, offset: 0 }, 100)
      const all = await Promise.all(records.map(record => codec.decode(topics.audit, record)))
      const exports = all.filter(({ action, detail }) => action === 'export' && detail.report === first?.format)
      return exports.length > 0 ? exports : undefined
    })
    expect(told[0]).toMatchObject({ object: '1.2.3', outcome: 'success', detail: { study: '1.2.3', patient: 'pt_7' } })
  })

  it('are given out as what the stage that makes them says they are', async () => {
    const threads = openThreads({ threads: 1, timeoutMs: 1000, recycleAfter: 1 })
    const systems = { patients: {}, accessions: null }
    const context = { threads, previewPixels: 64, captures: 1, linkBase: null, attachPdf: false, systems }
    for (const [name, open] of Object.entries(studyFormats))
      expect([name, open(context).contentType]).toEqual([name, reportType(name).contentType])
    await threads.close()
  })
})
