/** Events and documents for the gateway's tests. Every id derives from a number. */

import { modelManifest } from '../../models/manifest.ts'
import type { ModelInfo, Models } from '../../models/port.ts'
import type { DeliveryDoc, ParkedDoc, StudyDoc } from '../../schemas/documents.ts'
import type { NoticeDoc } from '../../schemas/notice.ts'
import { rankOf, type WorklistDoc } from '../../schemas/study.ts'
import type { Instance, Prediction, Report, StudyAssessed } from '../../schemas/topics.ts'

export const began = Date.UTC(2026, 0, 1)
const pad = (n: number) => String(n).padStart(4, '0')

export const anInstance = (n: number, over: Partial<Instance> = {}): Instance => ({
  id: `in_${pad(n)}`,
  site: 'main',
  study: `st_${pad(n % 10)}`,
  source: { kind: 'upload', peer: 'test' },
  object: { key: `aa/${'a'.repeat(64)}`, sha256: 'a'.repeat(64), bytes: 10, contentType: 'application/dicom' },
  dicom: null,
  modality: n % 2 === 0 ? 'DX' : 'CT',
  bodyPart: 'CHEST',
  view: 'PA',
  laterality: null,
  studyInstances: null,
  deidentified: null,
  rows: 512,
  columns: 512,
  frames: 1,
  photometric: 'MONOCHROME2',
  equipment: null,
  patient: null,
  requested: [],
  priority: 'routine',
  acquiredAt: null,
  receivedAt: began + n,
  ...over,
})

export const aPrediction = (n: number, over: Partial<Prediction> = {}): Prediction => ({
  id: `pr_${pad(n)}`,
  instance: `in_${pad(n)}`,
  study: `st_${pad(n % 10)}`,
  site: 'main',
  object: `aa/${'a'.repeat(64)}`,
  modality: 'DX',
  patient: null,
  model: { name: 'chest', version: '1.0.0', digest: 'd'.repeat(64), runtime: 'onnx' },
  role: 'production',
  replay: null,
  label: n % 3 === 0 ? 'pneumonia' : 'normal',
  score: 0.25,
  threshold: 0.5,
  confidence: 0.75,
  probabilities: { pneumonia: 0.25, normal: 0.75 },
  regions: [],
  explanation: null,
  quality: [],
  timings: { queueMs: 1, fetchMs: 1, decodeMs: 1, prepareMs: 1, inferMs: 1, batch: 1 },
  receivedAt: began + n,
  predictedAt: began + n + 5,
  ...over,
})

export const aReport = (n: number, over: Partial<Report> = {}): Report => ({
  id: `rp_${pad(n)}`,
  study: `st_${pad(n % 10)}`,
  site: 'main',
  instance: `in_${pad(n)}`,
  prediction: `pr_${pad(n)}`,
  revision: null,
  format: 'pdf',
  object: null,
  bytes: 0,
  destination: 'store',
  outcome: 'made',
  code: null,
  at: began + n + 10,
  ...over,
})

export const aStudy = (n: number, over: Partial<StudyDoc> = {}): StudyDoc => ({
  id: `st_${pad(n)}`,
  site: 'main',
  studyUid: `1.2.3.${n}`,
  patient: null,
  modality: 'DX',
  bodyPart: 'CHEST',
  firstAt: began,
  lastAt: began + n,
  ...over,
})

export const anAssessment = (n: number, over: Partial<StudyAssessed> = {}): StudyAssessed => ({
  id: `sr_${pad(n)}`,
  study: `st_${pad(n)}`,
  site: 'main',
  patient: null,
  modality: 'DX',
  revision: 1,
  series: 1,
  instances: 2,
  images: [`in_${pad(n)}`, `in_${pad(n + 10)}`],
  completedBy: 'idle',
  expected: null,
  actor: null,
  findings: [
    {
      model: 'chest@1.0.0',
      label: 'pneumonia',
      score: 0.91,
      instances: [`in_${pad(n)}`],
      present: true,
      threshold: 0.5,
      rule: 'any',
      group: null,
      positive: 1,
      analysed: 2,
      corrected: 0,
      quality: [],
      priority: 'urgent',
    },
  ],
  missing: [],
  changes: null,
  priority: 'urgent',
  firstAt: began + n,
  completedAt: began + n + 30,
  assessedAt: began + n + 31,
  ...over,
})

export function aLine(n: number, over: Partial<WorklistDoc> = {}): WorklistDoc {
  const line: Omit<WorklistDoc, 'rank'> = {
    id: `st_${pad(n)}`,
    version: 1,
    site: 'main',
    modality: 'DX',
    patient: null,
    priority: 'routine',
    state: 'waiting',
    firstAt: began + n,
    revision: 1,
    findings: [],
    missing: 0,
    expected: null,
    ...over,
  }
  return { ...line, rank: rankOf(line.priority, line.firstAt) }
}

export const aDelivery = (n: number, over: Partial<DeliveryDoc> = {}): DeliveryDoc => ({
  id: `dl_${pad(n)}`,
  subject: `pr_${pad(n)}`,
  study: `st_${pad(n % 10)}`,
  channel: 'webhook',
  destination: 'ward',
  state: 'sent',
  attempts: 1,
  code: null,
  message: null,
  claimedAt: began + n + 20,
  finishedAt: began + n + 21,
  ...over,
})

export const aNotice = (n: number, over: Partial<NoticeDoc> = {}): NoticeDoc => ({
  id: `nt_${pad(n)}`,
  version: 1,
  phase: 'awaiting',
  dueAt: began + n * 1_000 + 600_000,
  rule: 'critical',
  critical: true,
  title: 'critical: pneumonia',
  study: `st_${pad(n % 10)}`,
  site: 'main',
  patient: 'pt_someone',
  modality: 'DX',
  priority: 'urgent',
  subject: `sr_${pad(n)}`,
  instance: `in_${pad(n)}`,
  revision: 1,
  edition: 1,
  findings: [
    { model: 'chest', version: '1.0.0', label: 'pneumonia', present: true, score: 0.91, group: null, images: 2 },
  ],
  told: null,
  toldPriority: null,
  changes: [],
  step: 0,
  owner: null,
  targets: [
    {
      ...{ person: 'martin', channel: 'mail', edition: 1, step: 0, state: 'sent' },
      ...{ dueAt: began, why: null, tries: 0 },
    },
  ],
  outcome: null,
  acknowledgedBy: null,
  acknowledgedAt: null,
  trail: [{ what: 'sent', who: 'martin', channel: 'mail', detail: null, edition: 1, at: began + n }],
  published: 1,
  createdAt: began + n,
  ...over,
})

export const aParked = (n: number, over: Partial<ParkedDoc> = {}): ParkedDoc => ({
  id: `pk_${pad(n)}`,
  stage: 'infer',
  topic: 'imaging.instances.v1',
  partition: 0,
  offset: n,
  key: `st_${pad(n % 10)}`,
  value: Buffer.from(`record ${n}`).toString('base64'),
  headers: { 'raylog-trace': String(n) },
  subject: `in_${pad(n)}`,
  code: 'decode-failed',
  message: 'the pixels end early',
  attempts: 1,
  at: began + n + 3,
  state: 'parked',
  ...over,
})

export function chestModel(): ModelInfo {
  const manifest = modelManifest.parse({
    name: 'chest',
    version: '1.0.0',
    title: 'Chest',
    runtime: 'onnx',
    weights: { file: 'model.onnx', sha256: 'd'.repeat(64), bytes: 1 },
    accepts: { modalities: ['DX'] },
    input: { name: 'x', layout: 'NCHW', channels: 'grey', width: 8, height: 8 },
    output: { name: 'y', kind: 'binary', labels: ['normal', 'pneumonia'], positive: 'pneumonia', threshold: 0.5 },
    card: { licence: 'CC0', data: 'made up', intendedUse: 'tests', limits: 'all', trainedBy: 'nobody', quality: [] },
  })
  return {
    manifest,
    ref: { name: 'chest', version: '1.0.0', digest: 'd'.repeat(64), runtime: 'onnx' },
    state: 'ready',
    reason: null,
  }
}

/** Routes by modality, as the manifest says; predicts nothing. */
export function chest(list: ModelInfo[]): Models {
  return {
    list: () => list,
    routes: ({ modality }) =>
      list.map(({ ref, manifest }) => {
        const accepted = manifest.accepts.modalities.includes(modality ?? '')
        return { model: ref, accepted, reason: accepted ? 'the modality fits' : `modality ${modality} is not DX` }
      }),
    predict: () => Promise.reject(new Error('not asked for here')),
    giveWay: () => undefined,
    close: () => Promise.resolve(),
  }
}
