/** What the document store holds: one collection a kind, declared with the indexes that its queries need. */
import type { DicomInstanceDoc, DicomSeriesDoc, DicomStudyDoc } from './dicom-index.ts'
import type { NoticeBudgetDoc, NoticeDoc, PushTargetDoc } from './notice.ts'
import type { ReplayDoc, ReplayGoneDoc, ReplayRunDoc } from './replay.ts'
import type { CommitmentAskedDoc, ReportDeliveryDoc, ReportQueueDoc } from './report-delivery.ts'
import type { RetrievalDoc, RetrievalRunDoc } from './retrieval.ts'
import type { StudyAnswerDoc, StudyImageDoc, StudyStateDoc, StudyVerdictDoc, WorklistDoc } from './study.ts'
import type { AuditEntry } from './topics/audit.ts'
import type { Feedback } from './topics/feedback.ts'
import type { Instance } from './topics/instances.ts'
import type { Parked } from './topics/parked.ts'
import type { Prediction } from './topics/predictions.ts'
import type { Report } from './topics/reports.ts'
import type { StudyAssessed } from './topics/studies.ts'

/** A study as persist knows it; counts are counted, not kept. */
export interface StudyDoc {
  id: string
  site: string
  studyUid: string | null
  patient: string | null
  modality: string | null
  bodyPart: string | null
  firstAt: number
  lastAt: number
}

/** Who a pseudonym stands for: AES-256-GCM over JSON of name, id, birth date and sex, base64. */
export interface PatientDoc {
  id: string
  site: string
  sealed: string
}

/** One notification to one destination: claimed before it is sent, so that no crash sends twice unseen. */
export interface DeliveryDoc {
  id: string
  subject: string
  study: string
  channel: string
  destination: string
  state: 'claimed' | 'sent' | 'failed'
  attempts: number
  code: string | null
  message: string | null
  claimedAt: number
  finishedAt: number | null
}

export interface ParkedDoc extends Omit<Parked, 'value'> {
  /** The record as it was, base64. */
  value: string
  state: 'parked' | 'retried' | 'dropped'
}

/**
 * A request for storage commitment (PS3.4 J): answered at once, looked into and reported afterwards, by whichever process is
 * there when `dueAt` has come.
 */
export interface CommitmentDoc {
  id: string
  /** AE title of who asked. */
  peer: string
  /** Transaction UID. */
  transaction: string
  items: { sopClass: string; sopInstance: string }[]
  state: 'asked' | 'reported' | 'given-up'
  attempts: number
  askedAt: number
  dueAt: number
}

/** What was made of one revision of a study: what the next revision refers to, and supersedes. */
export interface StudyReportsDoc {
  /** The revision's. */
  id: string
  study: string
  revision: number
  reports: MadeReport[]
  at: number
}

export interface MadeReport {
  /** The event's. */
  id: string
  format: string
  /** Which, where a format gives several. */
  part: string | null
  /** The image that it is of, where it is of one; those made by earlier versions do not say. */
  instance?: string | null
  object: string
  bytes: number
}

export interface Documents {
  instances: Instance
  predictions: Prediction
  studies: StudyDoc
  patients: PatientDoc
  reports: Report
  studyReports: StudyReportsDoc
  deliveries: DeliveryDoc
  parked: ParkedDoc
  feedback: Feedback
  replays: ReplayDoc
  replayRuns: ReplayRunDoc
  replayGone: ReplayGoneDoc
  /** What models said in a replay. Apart from `predictions`, so that no list of results can show it by mistake. */
  replayed: Prediction
  /** What QIDO-RS and C-FIND search: one a study, series and SOP instance. */
  dicomStudies: DicomStudyDoc
  dicomSeries: DicomSeriesDoc
  dicomInstances: DicomInstanceDoc
  audit: AuditEntry
  commitments: CommitmentDoc
  procedureSteps: ProcedureStepDoc
  retrievals: RetrievalDoc
  retrievalRuns: RetrievalRunDoc
  /** Every revision of every study. */
  assessments: StudyAssessed
  worklist: WorklistDoc
  /** What those who assess studies share; nobody else reads them. */
  studyStates: StudyStateDoc
  studyImages: StudyImageDoc
  studyAnswers: StudyAnswerDoc
  studyVerdicts: StudyVerdictDoc
  /** Each report to each destination. */
  reportDeliveries: ReportDeliveryDoc
  reportQueues: ReportQueueDoc
  commitmentsAsked: CommitmentAskedDoc
  notices: NoticeDoc
  noticeBudgets: NoticeBudgetDoc
  pushTargets: PushTargetDoc
}

/** What a modality said of what it does (PS3.4 F.7): nothing of the patient. */
export interface ProcedureStepDoc {
  id: string
  /** Id of the study. */
  study: string
  /** IN PROGRESS, COMPLETED or DISCONTINUED. */
  status: string
  /** Instances that it made. */
  images: number
  at: number
}

export type Collection = keyof Documents

/** Collections whose documents may be replaced by compare-and-set: each write is of the next version. */
export type Versioned = { [C in Collection]: Documents[C] extends { version: number } ? C : never }[Collection]

/**
 * The time field by which each collection is listed (newest first, id as the tie-break), and the fields that a query
 * may filter by. Adapters make an index (field, time, id) for each, and one of (time, id) that carries what is named there
 * besides, so that listing that alone reads no documents.
 */
export const collections: {
  readonly [C in Collection]: {
    readonly time: keyof Documents[C] & string
    readonly filters: readonly string[]
    readonly carries?: readonly string[]
  }
} = {
  instances: {
    time: 'receivedAt',
    filters: ['site', 'study', 'modality', 'source.kind', 'dicom.sopInstance', 'patient'],
  },
  predictions: { time: 'predictedAt', filters: ['site', 'study', 'instance', 'model.name', 'label', 'role'] },
  studies: { time: 'lastAt', filters: ['site', 'studyUid', 'patient', 'modality'] },
  patients: { time: 'id', filters: ['site'] },
  reports: { time: 'at', filters: ['site', 'study', 'instance', 'prediction', 'format', 'outcome'] },
  studyReports: { time: 'at', filters: ['study'] },
  deliveries: { time: 'claimedAt', filters: ['subject', 'study', 'state', 'destination'] },
  parked: { time: 'at', filters: ['stage', 'state', 'code', 'subject'] },
  feedback: { time: 'at', filters: ['study', 'instance', 'prediction', 'verdict'] },
  replays: { time: 'createdAt', filters: ['phase', 'model.name'] },
  replayRuns: { time: 'epoch', filters: ['replay'] },
  replayGone: { time: 'receivedAt', filters: ['replay'] },
  replayed: { time: 'predictedAt', filters: ['site', 'study', 'instance', 'model.name', 'label', 'replay'] },
  dicomStudies: {
    time: 'at',
    filters: ['site', 'uid', 'patient', 'patientId', 'family', 'accession', 'modalities'],
    carries: ['mark'],
  },
  dicomSeries: { time: 'at', filters: ['uid', 'study', 'modality'] },
  dicomInstances: { time: 'at', filters: ['uid', 'study', 'series'] },
  commitments: { time: 'dueAt', filters: ['state'] },
  procedureSteps: { time: 'at', filters: ['study'] },
  audit: { time: 'at', filters: ['action', 'actor', 'object', 'outcome', 'address', 'detail.patient', 'detail.study'] },
  retrievals: { time: 'createdAt', filters: ['phase', 'peer'] },
  retrievalRuns: { time: 'epoch', filters: ['retrieval'] },
  assessments: { time: 'completedAt', filters: ['study'] },
  worklist: { time: 'rank', filters: ['site', 'modality', 'state', 'priority'] },
  studyStates: { time: 'dueAt', filters: ['phase'] },
  studyImages: { time: 'seenAt', filters: ['study'] },
  studyAnswers: { time: 'at', filters: ['study'] },
  studyVerdicts: { time: 'at', filters: ['study'] },
  reportDeliveries: { time: 'at', filters: ['queue', 'line', 'report', 'study', 'destination', 'state'] },
  reportQueues: { time: 'epoch', filters: ['destination'] },
  commitmentsAsked: { time: 'askedAt', filters: ['delivery', 'state'] },
  notices: { time: 'dueAt', filters: ['phase', 'study', 'site', 'rule', 'outcome'] },
  noticeBudgets: { time: 'updatedAt', filters: [] },
  pushTargets: { time: 'createdAt', filters: ['person'] },
}
