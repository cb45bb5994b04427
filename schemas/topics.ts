/** Every topic of the log, in one place. */
import type { Topic } from './avro.ts'
import { audit } from './topics/audit.ts'
import { drift } from './topics/drift.ts'
import { feedback } from './topics/feedback.ts'
import { instances } from './topics/instances.ts'
import { lifecycle } from './topics/lifecycle.ts'
import { notifications } from './topics/notifications.ts'
import { parked } from './topics/parked.ts'
import { predictions } from './topics/predictions.ts'
import { reports } from './topics/reports.ts'
import { requests } from './topics/requests.ts'
import { studies } from './topics/studies.ts'

export type { EventOf, Topic } from './avro.ts'
export type { AuditEntry } from './topics/audit.ts'
export type { Drift } from './topics/drift.ts'
export type { Feedback } from './topics/feedback.ts'
export type { Instance, Priority, SourceKind, StoredObject } from './topics/instances.ts'
export type { LifecycleChange } from './topics/lifecycle.ts'
export type { NotificationStep } from './topics/notifications.ts'
export type { Parked } from './topics/parked.ts'
export type { ModelVersion, Prediction, Role, Timings } from './topics/predictions.ts'
export type { Report } from './topics/reports.ts'
export type { StudyRequest } from './topics/requests.ts'
export type { StudyAssessed, StudyChanges, StudyFinding } from './topics/studies.ts'

export const topics = {
  instances,
  predictions,
  studies,
  requests,
  reports,
  notifications,
  lifecycle,
  feedback,
  drift,
  audit,
  parked,
} as const

export const allTopics: readonly Topic[] = Object.values(topics)
