/** Documents that the document contract's tests share. */
import { randomUUID } from 'node:crypto'
import type { DeliveryDoc, StudyDoc } from '../../schemas/documents.ts'
import type { WorklistDoc } from '../../schemas/study.ts'
import type { Prediction } from '../../schemas/topics.ts'

/** A site of its own: an adapter may keep what earlier tests wrote. */
export const newSite = () => `site-${randomUUID().slice(0, 8)}`

export const study = (site: string, n: number, more: Partial<StudyDoc> = {}): StudyDoc => ({
  id: `${site}-${String(n).padStart(5, '0')}`,
  site,
  studyUid: `1.2.${n}`,
  patient: null,
  modality: n % 2 === 0 ? 'CR' : 'MG',
  bodyPart: null,
  firstAt: 1000 + n,
  lastAt: 1000 + n,
  ...more,
})

export const delivery = (id: string, more: Partial<DeliveryDoc> = {}): DeliveryDoc => ({
  id,
  subject: 's',
  study: 'st',
  channel: 'webhook',
  destination: 'd',
  state: 'claimed',
  attempts: 0,
  code: null,
  message: null,
  claimedAt: 1,
  finishedAt: null,
  ...more,
})

export const line = (id: string, version: number, more: Partial<WorklistDoc> = {}): WorklistDoc => ({
  id,
  version,
  site: 'main',
  modality: null,
  patient: null,
  priority: 'routine',
  rank: 1,
  state: 'gathering',
  firstAt: 1,
  revision: 0,
  findings: [],
  missing: 0,
  expected: null,
  ...more,
})

export const blankPrediction: Prediction = {
  id: '',
  instance: 'in',
  study: 'st',
  site: '',
  object: 'o',
  modality: null,
  patient: null,
  model: { name: '', version: '', digest: '', runtime: '' },
  role: 'production',
  replay: null,
  label: 'normal',
  score: 0.1,
  threshold: 0.5,
  confidence: 0.9,
  probabilities: { normal: 0.9, abnormal: 0.1 },
  regions: [],
  explanation: null,
  quality: [],
  timings: { queueMs: 0, fetchMs: 0, decodeMs: 0, prepareMs: 0, inferMs: 0, batch: 1 },
  receivedAt: 0,
  predictedAt: 0,
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
