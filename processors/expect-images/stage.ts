/**
 * Asks the archive of whoever sends a study how many images it has (C-FIND), so that a study is complete when all of them are
 * here, and not only when nothing came for a while. An answer is a request of `imaging.requests.v1`, as if somebody had said it.
 */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { createAuditTrail } from '../../kafka/audit-trail.ts'
import { defineStage } from '../../kafka/stage.ts'
import type { Audited } from '../../schemas/audit.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { isOwnReport } from '../../schemas/own-report.ts'
import { aeTitle, type Peer } from '../../schemas/peers.ts'
import { type Instance, topics } from '../../schemas/topics.ts'
import { createAsker, type Question } from './asker.ts'
import { countImages } from './count.ts'

const config = z.strictObject({
  aeTitle: aeTitle.default('RAYLOG').describe('what we call ourselves'),
  quietMs: z
    .int()
    .min(10)
    .max(3_600_000)
    .default(4_000)
    .describe('asked when nothing came to the study for so long; below the idle times of assess-study, ms'),
  freshMs: z
    .int()
    .min(1_000)
    .default(600_000)
    .describe('studies whose images came longer ago are not asked about: the log is read from its beginning once, ms'),
  atOnce: z.int().min(1).max(100).default(4).describe('questions at once'),
  maxStudies: z.int().min(1).max(1_000_000).default(10_000).describe('studies that are remembered as under way'),
  associateMs: z.int().min(100).max(600_000).default(10_000).describe('for a connection and an association, ms'),
  answerMs: z.int().min(100).max(600_000).default(20_000).describe('for an answer, ms'),
})

export const expectImages = defineStage({
  name: 'expect-images',
  role: 'processor',
  summary: 'asks archives how many images a study has (peers with countsFrom)',
  reads: [topics.instances],
  writes: [topics.requests, topics.audit],
  needs: [],
  config,
  async open({ config, publish, network: { peers, dicomTls }, clock, logger, signal }) {
    const { aeTitle: calling, associateMs, answerMs, freshMs } = config
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID })
    const asker = createAsker({
      ...{ clock, logger, ...config },
      async ask(question, stopped) {
        const { archive, uid } = question
        let code: string | undefined
        try {
          return await countImages(archive, uid, { calling, dicomTls, associateMs, answerMs, signal: stopped })
        } catch (thrown) {
          code = stopped.aborted ? 'stopping' : toRaylogError(thrown).code
          throw thrown
        } finally {
          // Of one who is away nothing was asked.
          if (code !== 'peer-unavailable') trail.tell(queryOf(question, calling, code))
        }
      },
      async tell({ study, archive }, images) {
        const actor = archive.name
        const id = ids.request(study, 'expect', actor, images)
        const at = clock.now()
        const said = { what: 'expect', images, source: 'pacs', priority: null, revision: null } as const
        await publish(topics.requests, { id, study, ...said, actor, at })
      },
    })
    signal.addEventListener('abort', () => asker.stop(), { once: true })
    return {
      handle({ event }) {
        // As assess-study, which counts no report of ours among the images of a study.
        if (isOwnReport(event)) return
        const archive = archiveOf(event, peers)
        if (!archive || event.dicom === null || clock.now() - event.receivedAt > freshMs) return
        // What is retrieved was there before; what is sent may be on its way to the archive too.
        asker.saw({ study: event.study, uid: event.dicom.study, archive }, event.source.kind === 'retrieve')
      },
      async drain() {
        await asker.close()
        await trail.flush(signal)
      },
      close: () => asker.close(),
    }
  },
})

/** Who knows of the study, by the settings of who sent the image. */
function archiveOf({ source }: Instance, peers: readonly Peer[]): Peer | undefined {
  const sender = peers.find(({ name, aeTitle }) =>
    source.kind === 'retrieve' ? name === source.peer : source.kind === 'dimse' && aeTitle === source.peer,
  )
  return sender && peers.find(({ name }) => name === sender.countsFrom)
}

/** The query as the audit has it (PS3.15 A.5.3.10). @param code why it was not answered */
function queryOf({ archive, uid }: Question, actor: string, code: string | undefined): Audited {
  const { name, aeTitle, host } = archive
  return {
    ...{ action: 'query', actor, object: uid, outcome: code === undefined ? 'success' : 'failure', address: '' },
    detail: {
      ...{ peer: name, destination: aeTitle ?? name, destinationAddress: host ?? undefined, study: uid },
      ...{ query: 'STUDY StudyInstanceUID NumberOfStudyRelatedInstances', reason: code },
    },
  }
}
