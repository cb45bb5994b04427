/** Writes what the log says into the documents that the page and the API ask. Every write is by id: twice is once. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { indexOlder } from './backfill.ts'
import { indexInstance } from './dicom-index.ts'
import { parkedDoc } from './parked.ts'
import { patientKeeper, readHead } from './patients.ts'
import { mergeStudy } from './studies.ts'
import { keepLine, withAssessment, withImage, withRequest } from './worklist.ts'

const MiB = 1024 * 1024

export const persist = defineStage({
  name: 'persist',
  role: 'consumer',
  summary: 'keeps instances, studies, what was found, reports and parked events as documents, and names sealed',
  reads: [
    topics.instances,
    topics.predictions,
    topics.studies,
    topics.requests,
    topics.reports,
    topics.feedback,
    topics.parked,
  ],
  writes: [],
  needs: ['documents', 'objects', 'images', 'secrets'],
  config: z.strictObject({
    concurrency: z
      .int()
      .min(1)
      .max(4096)
      .default(256)
      .describe('events in flight; many share one commit of the document store'),
    headBytes: z
      .int()
      .min(1024)
      .max(16 * MiB)
      .default(64 * 1024)
      .describe("first read of an image's header; four times as much while that is too little, bytes"),
    maxHeadBytes: z
      .int()
      .min(1024)
      .max(1024 * MiB)
      .default(64 * MiB)
      .describe('largest header that is read for the patient and the query index, bytes'),
    indexOlder: z
      .boolean()
      .default(false)
      .describe(
        'at start, first add to the query index what was stored before there was one; for one start of one process, others wait on the log',
      ),
    knownPatients: z.int().min(1).max(10_000_000).default(20_000).describe('pseudonyms remembered as kept'),
    knownPatientMs: z
      .int()
      .min(0)
      .default(60_000)
      .describe('after this a remembered one is looked up again: it may have been erased, ms; 0: always'),
  }),
  concurrency: config => config.concurrency,
  async open({ config, deps: { documents, objects, images, secrets }, clock, logger }) {
    const keepPatient = patientKeeper({ documents, secrets, clock }, config)
    const stopping = new AbortController()
    const older = { ports: { documents, objects, images, secrets }, limits: config, clock, logger }
    const indexed = config.indexOlder ? indexOlder(older, stopping.signal) : Promise.resolve()
    indexed.catch(() => undefined) // the events that wait for it tell why
    return {
      async close() {
        stopping.abort(new Error('stopping'))
        await indexed.catch(() => undefined)
      },
      async handle(read) {
        await indexed
        switch (read.topic) {
          case 'imaging.instances.v1': {
            const instance = read.event
            const { dicom, patient } = instance
            if (dicom !== null) {
              // First, so that an instance whose object was erased does not come back as a document when the log is read again.
              const header = await readHead({ objects, images }, config, instance)
              if (patient !== null) await keepPatient(instance.site, patient, header.patient)
              const first = await indexInstance({ documents, secrets }, instance, dicom, header)
              if (first !== undefined)
                logger.warn(
                  { instance: instance.id, first, source: instance.source },
                  'another content of a SOP instance UID',
                )
            }
            // One event of a study at a time (order: key), so nobody else changes it between the two.
            const known = await documents.get('studies', instance.study)
            // Before the study is: a crash between the two leaves it to be done again.
            if (!known || instance.priority !== 'routine')
              await keepLine(documents, instance.study, withImage(instance))
            const study = mergeStudy(known, instance)
            await Promise.all([documents.upsert('instances', [instance]), documents.upsert('studies', [study])])
            return
          }
          case 'imaging.predictions.v1':
            // Apart, so that nothing that lists results shows what was only tried.
            return documents.upsert(read.event.role === 'replay' ? 'replayed' : 'predictions', [read.event])
          case 'imaging.studies.v1':
            await documents.upsert('assessments', [read.event])
            return keepLine(documents, read.event.study, withAssessment(read.event))
          case 'imaging.requests.v1':
            return keepLine(documents, read.event.study, withRequest(read.event))
          case 'imaging.reports.v1':
            // What became of its delivery is told there too; that is kept by who delivers.
            return read.event.destination === 'store' ? documents.upsert('reports', [read.event]) : undefined
          case 'models.feedback.v1':
            return documents.upsert('feedback', [read.event])
          case 'parked.v1':
            // Not an upsert: someone may have retried or dropped it before this event is read a second time.
            await documents.insert('parked', parkedDoc(read.event))
            return
        }
      },
    }
  },
})
