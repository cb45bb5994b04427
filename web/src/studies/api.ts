/** Studies over HTTP. The shapes are the gateway's own; what is checked here is that the answer is one. */
import type { WorklistLine } from '../../../gateway/api/worklist.ts'
import type { Feedback, StudyAssessed, StudyFinding } from '../../../schemas/topics.ts'
import { get, nothing, post, postJson } from '../api/client.ts'
import { isObject, listOf, pageOf, ShapeError, toInstance, toPrediction, toReport } from '../api/shape.ts'
import type { DeliveryDoc, Instance, Page, Prediction, Report } from '../api/types.ts'

export type { Feedback, StudyAssessed, StudyFinding, WorklistLine }
export type Priority = WorklistLine['priority']

export interface StudyFacts {
  id: string
  site: string
  studyUid: string | null
  modality: string | null
  bodyPart: string | null
  firstAt: number
  lastAt: number
  instances: number
  predictions: number
  reports: number
}

/** Answer to `GET studies/:id`. */
export interface StudyDetail {
  study: StudyFacts
  instances: Instance[]
  predictions: Prediction[]
  reports: Report[]
  revisions: StudyAssessed[]
  deliveries: DeliveryDoc[]
  feedback: Feedback[]
  line: WorklistLine | null
  patient: { pseudonym: string; name?: string } | null
  earlier: StudyFacts[]
  truncated: boolean
}

function has<T>(...fields: (keyof T & string)[]) {
  return (value: unknown): T => {
    if (!isObject(value)) throw new ShapeError('expected an object')
    for (const field of fields) if (!(field in value)) throw new ShapeError(`${field} is missing`)
    return value as T
  }
}

const toLine = has<WorklistLine>('id', 'priority', 'state', 'firstAt', 'findings', 'images', 'deliveries')
const someDetail = has<StudyDetail>('study', 'revisions', 'deliveries', 'feedback', 'line', 'earlier')

function toDetail(value: unknown): StudyDetail {
  const detail = someDetail(value)
  return {
    ...detail,
    instances: listOf(toInstance)(detail.instances).toSorted((a, b) => a.receivedAt - b.receivedAt),
    predictions: listOf(toPrediction)(detail.predictions),
    reports: listOf(toReport)(detail.reports),
  }
}

export interface WorklistQuery {
  state: string
  priority: string
  modality: string
}

export function getWorklist(
  asked: WorklistQuery,
  cursor: string | null,
  signal?: AbortSignal,
): Promise<Page<WorklistLine>> {
  const query = new URLSearchParams({ limit: '100', state: asked.state })
  if (asked.priority !== '') query.set('priority', asked.priority)
  if (asked.modality !== '') query.set('modality', asked.modality)
  if (cursor !== null) query.set('cursor', cursor)
  return get(`/worklist?${query}`, pageOf(toLine), signal)
}

const path = (id: string, action = '') => `/studies/${encodeURIComponent(id)}${action && `/${action}`}`

export const getStudy = (id: string, signal: AbortSignal): Promise<StudyDetail> => get(path(id), toDetail, signal)
export const ask = (id: string, what: 'complete' | 'reviewed'): Promise<void> => post(path(id, what), null, nothing)

/** What a person says of a prediction; without a label that it is right. */
export const say = (prediction: string, label: string | null): Promise<Feedback> =>
  postJson(
    `/predictions/${encodeURIComponent(prediction)}/feedback`,
    label === null ? { verdict: 'agreed' } : { verdict: 'corrected', label },
    has<Feedback>('prediction', 'verdict', 'at'),
  )
