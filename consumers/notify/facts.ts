/** What an event says, in the terms of rules: one shape for predictions and for studies. */
import type { NoticeFinding } from '../../schemas/notice.ts'
import { isFound } from '../../schemas/prediction.ts'
import type { Prediction, StudyAssessed } from '../../schemas/topics.ts'

export interface Facts {
  on: 'study' | 'prediction'
  /** The event's id. */
  id: string
  study: string
  site: string
  patient: string | null
  modality: string | null
  /** Null where the event says none. */
  priority: StudyAssessed['priority'] | null
  /** Of the study, 1, 2 …; null for a prediction. */
  revision: number | null
  findings: FactFinding[]
  /** Of the prediction; null for a study, which is of production's. */
  role: Prediction['role'] | null
  /** ms since the epoch */
  at: number
}

export interface FactFinding extends NoticeFinding {
  /** An image that shows it. */
  instance: string | null
}

export function factsOfStudy(event: StudyAssessed): Facts {
  const { id, study, site, patient, modality, priority, revision } = event
  return {
    ...{ on: 'study', id, study, site, patient, modality, priority, revision },
    findings: event.findings.map(finding => {
      const [model = '', version = ''] = finding.model.split('@')
      const { label, present, score, group, positive, instances } = finding
      return { model, version, label, present, score, group, images: positive, instance: instances[0] ?? null }
    }),
    role: null,
    at: event.assessedAt ?? event.completedAt,
  }
}

export function factsOfPrediction(event: Prediction): Facts {
  const { id, study, site, patient, modality, model, label, score, instance } = event
  const present = isFound(event)
  const finding = { model: model.name, version: model.version, label, present, score, group: null, images: 1, instance }
  return {
    ...{ on: 'prediction', id, study, site, patient, modality, priority: null, revision: null },
    findings: [finding],
    role: event.role,
    at: event.predictedAt,
  }
}
