/** The services of this node, from its settings and ports: by command field, and the SOP classes that they add. */
import type { Logger } from 'pino'
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
import type { ServicesConfig } from './config.ts'
import { echo } from './echo.ts'
import { findService } from './find.ts'
import { getService } from './get.ts'
import { moveService } from './move.ts'
import { procedureStepServices } from './procedure-step.ts'
import type { Service } from './service.ts'
import { type Store, storeService } from './store.ts'

/** Objects that retrievals hold whole at once, to de-identify them, all of them and to one receiver: each has up to deidentify.maxBytes. */
const heldWhole = { all: 4, each: 2 }

export interface ServicesOptions {
  config: ServicesConfig & { aeTitle: string }
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
