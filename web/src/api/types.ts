/** What the gateway answers. The events' own types come from the schemas; the rest is described at /docs. */
import type { ModelManifest } from '../../../models/manifest.ts'
import type { ModelInfo, Route } from '../../../models/port.ts'
import type { PartHealth } from '../../../monitoring/health.ts'
import type { DeliveryDoc, ParkedDoc } from '../../../schemas/documents.ts'
import type { Instance, ModelVersion, Prediction, Report } from '../../../schemas/topics.ts'

export type { DeliveryDoc, Instance, ModelInfo, ModelManifest, ModelVersion, PartHealth, Prediction, Report, Route }

export interface Page<T> {
  items: T[]
  next: string | null
}

export interface Detail {
  instance: Instance
  predictions: Prediction[]
  reports: Report[]
  deliveries: DeliveryDoc[]
  routes: Route[]
  patient: { pseudonym: string; name?: string } | null
  /** Others of its SOP Instance UID that have other content. */
  sameUid: Instance[]
}

/** Why an image was taken or not, and what became of it. */
export interface Explanation {
  routes: Route[]
  steps: Step[]
}

export interface Step {
  at: number
  stage: string
  what: 'received' | 'predicted' | 'parked' | 'reported' | 'delivered'
  id: string
  text: string
  code: string | null
  remedy: string | null
}

/** A parked event as the gateway lists it: without its bytes, with the error table's words. */
export interface Parked extends Omit<ParkedDoc, 'value'> {
  title: string
  remedy: string
}

/** Once a second. */
export interface Pulse {
  at: number
  /** A second, over the last five. */
  rates: { received: number; predictions: number }
  /** By stage, events. */
  lag: Record<string, number>
  parked: number
  newestParked: string | null
  health: { ok: boolean; failing: { part: string; code: string; reason: string }[] }
}

/** Answer to `join`. */
export interface Joined {
  at: Record<string, number>
  replayed: number
  truncated: boolean
}

export interface Uploaded {
  file: string
  id: string | null
  error: ProblemDetails | null
}

/** What one image was found to be, answered at once. */
export interface Classified {
  instance: Instance
  predictions: Prediction[]
}

/** Where senders reach this process, by name (page, dicom, watch …). */
export type Endpoints = Record<string, Record<string, string | number>>

/** application/problem+json, RFC 9457, with our code and remedy. */
export interface ProblemDetails {
  title: string
  status: number
  detail: string
  code: string
  remedy: string
}

export interface Position {
  topic: string
  partition: number
  offset: number
}
