/**
 * QIDO-RS over many instances in the embedded store, asked over HTTP one request at a time: p50, p95, CPU (of
 * server, store and client) and what came back.
 * A hundred instances a study, in four series.
 *
 *   node bench/qido.ts [--instances 1000000] [--requests 200]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import pino from 'pino'
import { createAccessAudit } from '../gateway/accesses.ts'
import { prefix } from '../gateway/dicomweb/context.ts'
import { addDicomwebRoutes } from '../gateway/dicomweb/routes.ts'
import { createHttp, listen } from '../gateway/http.ts'
import { openImages } from '../models/imaging/images.ts'
import { createHealth } from '../monitoring/health.ts'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import type { DicomInstanceDoc, DicomSeriesDoc, DicomStudyDoc } from '../schemas/dicom-index.ts'
import { createDicomIndex, markOf, studyDigests } from '../storage/dicom-query.ts'
import { openSecrets } from '../storage/file-secrets.ts'
import { openFolderObjects } from '../storage/folder-objects.ts'
import { openSqliteDocuments } from '../storage/sqlite-documents.ts'
import { markdown, quantile, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: { instances: { type: 'string', default: '1000000' }, requests: { type: 'string', default: '200' } },
})
const studies = Math.ceil(Number(flags.instances) / 100)
const requests = Number(flags.requests)
const modalities = ['CT', 'MR', 'DX', 'US'] as const
const patients = Math.ceil(studies / 3)
const day = 86_400_000
const first = Date.UTC(2015, 0, 1)
const token = 'a-token-of-more-than-16-characters'

const folder = mkdtempSync(join(tmpdir(), 'raylog-qido-'))
const documents = await openSqliteDocuments({ folder })
const objects = await openFolderObjects({ folder: join(folder, 'objects') })
const secrets = await openSecrets(folder, { token })
const metrics = createMetrics()
const images = openImages({ objects, metrics })

const dayText = (n: number): string => new Date(first + n * day).toISOString().slice(0, 10).replaceAll('-', '')
/** Study dates go through ten years, whatever the number of studies. */
const dateOf = (n: number): string => dayText(Math.floor((n / studies) * 3650))
const nameOf = (patient: number): string => `Family${patient % 2000}^Given${patient}`

function studyOf(n: number): { study: DicomStudyDoc; series: DicomSeriesDoc[]; instances: DicomInstanceDoc[] } {
  const [id, uid, patient, date] = [`st_${n}`, `1.2.3.${n}`, n % patients, dateOf(n)]
  const modality = modalities[n % modalities.length] ?? 'CT'
  const values = {
    '00100010': [{ Alphabetic: nameOf(patient) }],
    '00100020': [`P${patient}`],
    '00100030': ['19600101'],
    '00100040': ['F'],
    '00080020': [date],
    '00080030': ['101500'],
    '00080050': [`ACC${n}`],
    '00081030': ['Thorax routine'],
    '0020000D': [uid],
  }
  const sealed = secrets.seal(JSON.stringify(values), id)
  const study: DicomStudyDoc = {
    id,
    site: 'main',
    at: Number(date) * 1_000_000 + 101_500,
    uid,
    patient: `pt_${patient}`,
    patientId: studyDigests.patientId(secrets, `P${patient}`),
    family: studyDigests.family(secrets, nameOf(patient)),
    accession: studyDigests.accession(secrets, `ACC${n}`),
    modalities: n % 10 === 0 ? `\\${modality}\\SR\\` : `\\${modality}\\`,
    sealed,
    mark: markOf(sealed),
  }
  const series: DicomSeriesDoc[] = []
  const instances: DicomInstanceDoc[] = []
  for (let number = 1; number <= 4; number++) {
    const seriesId = `se_${n}_${number}`
    const seriesUid = `${uid}.${number}`
    const said = { '0020000E': [seriesUid], '00080060': [modality], '00200011': [number], '0008103E': ['Axial'] }
    const sealed = secrets.seal(JSON.stringify(said), seriesId)
    series.push({ id: seriesId, site: 'main', at: number, uid: seriesUid, study: id, modality, sealed })
    for (let image = 1; image <= 25; image++) instances.push(instanceOf(id, seriesId, seriesUid, image))
  }
  return { study, series, instances }
}

function instanceOf(study: string, series: string, seriesUid: string, image: number): DicomInstanceDoc {
  const uid = `${seriesUid}.${image}`
  return {
    id: `so_${uid}`,
    site: 'main',
    at: image,
    uid,
    study,
    series,
    instance: `in_${uid}`,
    transferSyntax: '1.2.840.10008.1.2.1',
    object: { key: `aa/${uid}`, sha256: uid, bytes: 524_288 },
    values: {
      '00080016': ['1.2.840.10008.5.1.4.1.1.2'],
      '00080018': [uid],
      '00200013': [image],
      '00280010': [512],
      '00280011': [512],
      '00280100': [16],
      '00280004': ['MONOCHROME2'],
      '00080008': ['ORIGINAL', 'PRIMARY', 'AXIAL'],
    },
  }
}

async function fill(): Promise<void> {
  for (let from = 0; from < studies; from += 20) {
    const batch = Array.from({ length: Math.min(20, studies - from) }, (_, index) => studyOf(from + index))
    await Promise.all([
      documents.upsert(
        'dicomInstances',
        batch.flatMap(each => each.instances),
      ),
      documents.upsert(
        'dicomSeries',
        batch.flatMap(each => each.series),
      ),
      documents.upsert(
        'dicomStudies',
        batch.map(each => each.study),
      ),
    ])
  }
}

const config = platformConfig.parse({ http: { port: 0 } }).http
const logger = pino({ level: 'silent' })
const http = await createHttp({ config, token, logger, health: createHealth(), metrics, researchUseOnly: true })
const index = createDicomIndex({ documents, secrets })
await http.register(
  async app =>
    addDicomwebRoutes(app.withTypeProvider<ZodTypeProvider>(), {
      deps: { objects, images },
      index,
      settings: { maxResults: 10_000, maxInstances: 50_000 },
      audit: createAccessAudit({ tell() {}, tellOften() {}, flush: () => Promise.resolve() }),
    }),
  { prefix },
)
const { url } = await listen(http, config)

/** A fixed sequence, so that every run asks the same. */
let seed = 1
function pick(below: number): number {
  seed = (seed * 48_271) % 2_147_483_647
  return seed % below
}

const weekFrom = (n: number): string => `StudyDate=${dayText(n)}-${dayText(n + 6)}&limit=101`
const instancesOf = (n: number): string => `/studies/1.2.3.${n}/series/1.2.3.${n}.2/instances`

const queries: [string, () => string][] = [
  ['newest studies, 101', () => '/studies?limit=101'],
  ['studies of a week', () => `/studies?${weekFrom(pick(3640))}`],
  ['studies of a week, by modality', () => `/studies?${weekFrom(pick(3640))}&ModalitiesInStudy=CT`],
  ['studies of a patient', () => `/studies?PatientID=P${pick(patients)}`],
  ['studies by accession number', () => `/studies?AccessionNumber=ACC${pick(studies)}`],
  ['studies by modality, 101', () => `/studies?ModalitiesInStudy=${modalities[pick(4)]}&limit=101`],
  ['studies by family name and beginning', () => `/studies?PatientName=Family${pick(2000)}^G*&limit=101`],
  ['series of a study', () => `/studies/1.2.3.${pick(studies)}/series`],
  ['instances of a series', () => instancesOf(pick(studies))],
  ['one instance by its UID', () => `/instances?SOPInstanceUID=1.2.3.${pick(studies)}.3.7`],
  ['instances from the 900,000th, 100', () => `/instances?offset=${Math.floor(studies * 90)}&limit=100`],
  ['studies by the middle of a name', () => `/studies?PatientName=*Given${pick(patients)}&limit=101`],
]

async function ask(path: string): Promise<{ ms: number; results: number }> {
  const started = performance.now()
  const answer = await fetch(`${url}${prefix}${path}`, { headers: { authorization: `Bearer ${token}` } })
  const body = await answer.text()
  const ms = performance.now() - started
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${body.slice(0, 200)}`)
  const results: unknown = JSON.parse(body)
  return { ms, results: Array.isArray(results) ? results.length : 0 }
}

const filling = performance.now()
await fill()
const filled = (performance.now() - filling) / 1000
const rows: Row[] = []
for (const [name, path] of queries) {
  const count = name.includes('middle') || name.includes('900,000') ? Math.min(20, requests) : requests
  await ask(path())
  const answers: { ms: number; results: number }[] = []
  const before = process.cpuUsage()
  for (let n = 0; n < count; n++) answers.push(await ask(path()))
  const { user, system } = process.cpuUsage(before)
  const times = answers.map(({ ms }) => ms)
  const at = (share: number) => round(quantile(times, share), 1)
  const results = answers.reduce((sum, each) => sum + each.results, 0) / answers.length
  rows.push({
    what: name,
    figures: {
      'p50, ms': at(0.5),
      'p95, ms': at(0.95),
      'CPU, ms': round((user + system) / 1000 / count, 1),
      matches: round(results),
    },
  })
}
await http.close()
await images.close()
await documents.close()
await objects.close()
rmSync(folder, { recursive: true })
console.log(`${(studies * 100).toLocaleString('en')} instances, written in ${round(filled)} s`)
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'qido', rows }))
