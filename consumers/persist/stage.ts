/** Writes what the log says into the documents that the page and the API ask. Every write is by id: twice is once. */
import { z } from 'zod'
import { defineStage, type Read } from '../../kafka/stage.ts'
import { allToTheirEnd } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { indexOlder } from './backfill.ts'
import { instanceKeeper } from './instances.ts'
import { parkedDoc } from './parked.ts'
import { patientKeeper } from './patients.ts'
import { keepLine, withAssessment, withRequest } from './worklist.ts'

const MiB = 1024 * 1024

const reads = [
  topics.instances,
  topics.predictions,
  topics.studies,
  topics.requests,
  topics.reports,
  topics.feedback,
  topics.parked,
] as const

export const persist = defineStage({
  name: 'persist',
  role: 'consumer',
  summary: 'keeps instances, studies, what was found, reports and parked events as documents, and names sealed',
  reads,
  together: [topics.instances, topics.predictions, topics.reports],
  writes: [],
  needs: ['documents', 'objects', 'images', 'secrets'],
  config: z.strictObject({
    concurrency: z
      .int()
      .min(1)
      .max(4096)
      .default(256)
      .describe(
        'studies in hand at once, with up to 64 of their events each; many share one commit of the document store',
      ),
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
    const keepInstances = instanceKeeper({ ...older, keepPatient })

    async function keepOne(read: Read<(typeof reads)[number]>): Promise<void> {
      switch (read.topic) {
        case 'imaging.instances.v1':
          return keepInstances([read.event])
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
      }
    }

    return {
      async close() {
        stopping.abort(new Error('stopping'))
        await indexed.catch(() => undefined)
      },
      async handle(read) {
        await indexed
        await keepOne(read)
      },
      async handleMany(these) {
        await indexed
        const reads = these.map(({ read }) => read)
        const images = reads.flatMap(read => (read.topic === 'imaging.instances.v1' ? [read.event] : []))
        const studies = [...Map.groupBy(images, ({ study }) => study).values()]
        // Writes that are begun in one turn share a commit.
        const others = reads.filter(({ topic }) => topic !== 'imaging.instances.v1').map(keepOne)
        await allToTheirEnd([...studies.map(keepInstances), ...others])
      },
    }
  },
})
