/** The services of this node, from its settings and ports: by command field, and the SOP classes that they add. */
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Network, Ports } from '../../../kafka/ports.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import type { StudyRequest } from '../../../schemas/topics.ts'
import { createDicomIndex } from '../../../storage/dicom-query.ts'
import { createFairGate } from '../../gate.ts'
import type { AskedAudit } from '../asked.ts'
import { createCommitments } from '../commitments.ts'
import { createDirectory } from '../directory.ts'
import { serviceClasses } from '../sop-classes.ts'
import { createVerify } from '../verify.ts'
import { commitmentService } from './commitment.ts'
import { commitmentReportService } from './commitment-report.ts'
import { echo } from './echo.ts'
import { findService } from './find.ts'
import { getService } from './get.ts'
import { moveService } from './move.ts'
import { procedureStepServices } from './procedure-step.ts'
import type { Service } from './service.ts'
import { type Store, storeService } from './store.ts'

const MiB = 1024 * 1024
const dayMs = 86_400_000
/** Objects that retrievals hold whole at once, to de-identify them, all of them and to one receiver: each has up to deidentify.maxBytes. */
const heldWhole = { all: 4, each: 2 }

export const servicesConfig = {
  query: z
    .strictObject({
      maxMatches: z.int().min(1).default(100_000).describe('answers to one C-FIND; then 0xA700'),
      maxInstances: z.int().min(1).max(1_000_000).default(100_000).describe('of one C-MOVE or C-GET; more get 0xA701'),
      maxIdentifierBytes: z.int().min(1_024).default(MiB).describe('longest identifier of a query, bytes'),
    })
    .prefault({})
    .describe('C-FIND, C-MOVE and C-GET'),
  calls: z
    .strictObject({
      associateMs: z.int().min(10).default(30_000).describe('for the connection and the association, ms'),
      answerMs: z.int().min(10).default(120_000).describe('for the answer to each image or report, ms'),
    })
    .prefault({})
    .describe('associations of ours, to destinations of C-MOVE and with reports of storage commitment'),
  commitment: z
    .strictObject({
      holdMs: z
        .int()
        .min(0)
        .default(2_000)
        .describe('who ends the association within this after asking is told on another, ms'),
      settleMs: z.int().min(0).default(30_000).describe('an image is waited for until it is in the index, ms'),
      retryMs: z.int().min(100).default(60_000).describe('before telling again whom we could not tell, ms; doubled'),
      giveUpMs: z
        .int()
        .min(0)
        .default(3 * dayMs)
        .describe('nobody is told after this, ms'),
      maxRequestBytes: z
        .int()
        .min(1_024)
        .max(256 * MiB)
        .default(16 * MiB)
        .describe('longest list of instances, bytes'),
    })
    .prefault({})
    .describe('storage commitment'),
}

const settings = z.strictObject(servicesConfig)

export interface ServicesOptions {
  config: z.infer<typeof settings> & { aeTitle: string }
  deps: Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>
  network: Network
  clock: Clock
  logger: Logger
  store: Store
  audit: AskedAudit
  site: string
  /** Tells how many images a study is to have. Durable when it resolves. */
  tell(request: StudyRequest): Promise<void>
}

export interface Services {
  byField: ReadonlyMap<number, Service>
  /** SOP classes beside those of images. */
  offered: ReadonlySet<string>
  /** Resolves when nothing is under way that does not belong to an association. */
  close(): Promise<void>
}

export function createServices({
  config,
  deps,
  network,
  clock,
  logger,
  store,
  audit,
  site,
  tell,
}: ServicesOptions): Services {
  const { aeTitle, query, calls } = config
  const { documents, objects, images, secrets } = deps
  const index = createDicomIndex({ documents, secrets })
  const directory = createDirectory({ network, aeTitle, ...calls })
  const { settleMs, maxRequestBytes, ...pace } = config.commitment
  const verify = createVerify({ index, objects, clock, settleMs })
  const { answerMs } = calls
  const deidentifies = (title: string) => network.peers.some(peer => peer.aeTitle === title && peer.deidentify)
  const commitments = createCommitments({ documents, verify, directory, aeTitle, clock, logger, answerMs, ...pace })
  const whole = createFairGate(heldWhole.all, heldWhole.each, 'images are being de-identified for retrievals')
  const retrieval = { index, objects, images, whole, logger, audit, ...query }
  const all = [
    echo,
    storeService(store, logger),
    findService({ index, logger, aeTitle, audit, ...query }),
    moveService({ ...retrieval, directory }),
    getService({ ...retrieval, answerMs, deidentifies }),
    ...procedureStepServices({ documents, clock, logger, site, tell, maxRequestBytes }),
    commitmentService({ commitments, clock, logger, maxRequestBytes }),
    commitmentReportService({ documents, clock, logger, maxRequestBytes }),
  ]
  return {
    byField: new Map(all.map(service => [service.field, service])),
    offered: new Set(serviceClasses.map(({ uid }) => uid)),
    close: () => commitments.close(),
  }
}
