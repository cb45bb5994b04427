/** Writes what was found into the object store, as files for people and for other systems, and says on the log that they are there. */
import { z } from 'zod'
import type { Ports } from '../../kafka/ports.ts'
import { createReading } from '../../kafka/reading.ts'
import { defineStage, type Emit } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Prediction, topics } from '../../schemas/topics.ts'
import { type ContentOptions, gatherContent } from './content.ts'
import type { ReportFormat } from './format.ts'
import { formatsByDefault, studyFormats } from './formats.ts'
import { pdfOf } from './pdf.ts'
import { makeStudyReports } from './study/reports.ts'
import { languageNames } from './texts/texts.ts'
import { openThreads } from './threads.ts'

const code = z.strictObject({
  scheme: z.string().min(1).max(16).describe('designator of the coding scheme: SCT, DCM, RADLEX …'),
  value: z.string().min(1).max(16).describe('the code'),
  meaning: z.string().min(1).max(64).describe('in words'),
})

const uri = z.string().regex(/^[a-z][a-z0-9+.-]*:\S+$/i, 'give a URI')

const reportSettings = (formats: typeof studyFormats, byDefault: readonly string[]) =>
  z.strictObject({
    concurrency: z.int().min(1).max(256).default(8).describe('reports in the making'),
    giveWayTo: z
      .array(z.string())
      // Not persist: it reads what pages lead to, so that they would wait for themselves.
      .default(['infer', 'assess-study'])
      .describe('stages of this process that the page of a prediction waits for while they have work'),
    giveWayMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(10_000)
      .describe('a prediction that is older has its page whatever others do, ms; 0: no page waits'),
    threads: z.int().min(1).max(64).default(1).describe('threads that draw pages'),
    timeoutMs: z.int().min(100).default(60_000).describe('time to draw one page before its thread is replaced, ms'),
    recycleAfter: z.int().min(1).default(2_000).describe('pages after which the threads are replaced'),
    previewPixels: z.int().min(64).max(4096).default(768).describe('longest side of the image in the report, pixels'),
    formats: z
      .array(z.enum(Object.keys(formats)))
      .default([...byDefault])
      .describe('files that are made of each study that is complete; empty: none'),
    captures: z.int().min(1).max(100).default(3).describe('pictures in dicom-sc of a study, at most'),
    language: z.enum(languageNames).default('en').describe('of texts in reports'),
    earlierStudies: z
      .int()
      .min(0)
      .max(100)
      .default(10)
      .describe('earlier studies of the patient that a report names, at most'),
    codes: z.record(z.string(), code).default({}).describe('codes for labels of models, beside those that are known'),
    attachPdf: z.boolean().default(false).describe('put the report for people (pdf-study) into FHIR and HL7'),
    linkBase: z
      .url({ protocol: /^https?$/ })
      .nullable()
      .default(null)
      .describe('address of this Raylog as readers of HL7 reach it; null: no link'),
    systems: z
      .strictObject({
        patients: z
          .record(z.string().max(64), uri)
          .default({})
          .describe('FHIR system of patient ids by their issuer; under an empty name for those without'),
        accessions: uri.nullable().default(null).describe('FHIR system of accession numbers'),
      })
      .prefault({})
      .describe('what is not set is derived: unique to the site, and unknown to others'),
  })

/** The stage with these formats of studies. */
export const reportStage = (formats: typeof studyFormats, byDefault: readonly string[]) =>
  defineStage({
    name: 'report',
    role: 'consumer',
    summary:
      'makes a one-page PDF of each production prediction, and reports of each study in the formats that are set',
    reads: [topics.predictions, topics.studies],
    writes: [topics.reports],
    needs: ['log', 'documents', 'objects', 'images', 'secrets', 'metrics'],
    config: reportSettings(formats, byDefault),
    concurrency: config => config.concurrency,
    // Of studies people wait for their reports; of each of their images, for what was found.
    givesWay: ({ giveWayTo, giveWayMs, threads }) => ({
      ...{ topics: [topics.predictions], to: giveWayTo, longestMs: giveWayMs },
      places: threads + 1, // while one is drawn the next is gathered
    }),
    async open({ config, deps, clock, logger, showNames, researchUseOnly }) {
      const { metrics } = deps
      const threads = openThreads({
        ...config,
        replaced: by => metrics.workerRestarts.inc({ pool: 'report', code: by }),
      })
      const page = pdfOf(threads)
      const { previewPixels, captures, attachPdf, linkBase, systems } = config
      const context = { threads, previewPixels, captures, attachPdf, linkBase, systems }
      const all = Object.values(formats).map(open => open(context))
      const chosen = all.filter(({ name }) => config.formats.includes(name))
      const now = () => clock.now()
      const options = { ...config, formats: chosen, all, showNames, researchUseOnly, logger, now }
      const persisted = createReading(deps.log, 'persist', clock)
      return {
        async handle(read, { emit, signal }) {
          if (read.topic === 'imaging.predictions.v1')
            return reportPrediction(deps, { ...options, format: page }, read.event, { emit, signal })
          if (chosen.length === 0) return
          await waitForDocuments(deps.log, persisted, read.event.assessedAt ?? read.event.completedAt)
          return makeStudyReports(deps, options, read.event, { emit, signal })
        },
        close: () => threads.close(),
      }
    },
  })

export const report = reportStage(studyFormats, formatsByDefault)

async function reportPrediction(
  ports: Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>,
  options: ContentOptions & { format: ReportFormat; now: () => number },
  prediction: Prediction,
  { emit, signal }: { emit: Emit<typeof topics.reports>; signal: AbortSignal },
): Promise<void> {
  // What a shadow, canary or replay says is for those who judge the model, not for those who read reports.
  if (prediction.role !== 'production') return
  const { format } = options
  const content = await gatherContent(ports, options, prediction)
  signal.throwIfAborted()
  const bytes = await format.render(content, signal)
  const object = await ports.objects.put(bytes, format.contentType)
  const destination = 'store'
  emit(topics.reports, {
    id: ids.report(prediction.id, format.name, destination),
    study: prediction.study,
    site: prediction.site,
    instance: prediction.instance,
    prediction: prediction.id,
    revision: null,
    format: format.name,
    object: object.key,
    bytes: object.bytes,
    destination,
    outcome: 'made',
    code: null,
    at: options.now(),
  })
}

/**
 * What a study was assessed from is on the log; that persist has read it is what makes an absent document an erased one.
 * @throws RaylogError busy, where it has not yet; where there is no such reader at all, nothing is waited for
 */
async function waitForDocuments(
  log: Ports['log'],
  persisted: ReturnType<typeof createReading>,
  until: number,
): Promise<void> {
  const from = [topics.instances, topics.predictions, topics.feedback, topics.studies]
  if (await persisted.isThrough({ partitions: {} }, from, until + 1)) return
  if ((await log.groups()).includes('persist'))
    throw new RaylogError('busy', 'persist has still to write what the study was assessed from')
}
