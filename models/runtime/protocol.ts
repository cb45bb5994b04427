/** What the engine and its worker processes say to each other. Structured clones over a pipe; pixels of images never cross it. */

import type { PlatformConfig } from '../../schemas/config.ts'
import type { ErrorCode } from '../../schemas/errors.ts'
import type { Prediction, Timings } from '../../schemas/topics.ts'
import type { ModelManifest } from '../manifest.ts'
import type { Answer } from './outputs.ts'

export interface WorkerModel {
  manifest: ModelManifest
  /** Path of the weights. */
  weights: string
  /** Path of the copy that the workers share, where there is one (shared/make.ts). */
  shared?: string | undefined
}

export interface OpenMessage {
  type: 'open'
  models: readonly WorkerModel[]
  threads: number
  /** For an object that it fetches by itself, ms. */
  fetchMs: number
  providers: PlatformConfig['models']['providers']
}

/** Where a worker finds an object: in a file of this machine, or a part of one, or by a URL that needs no credentials. */
export type Source = { path: string; part?: { start: number; bytes: number } } | { url: string }

/** One image of a load. */
export interface Work {
  from: Source
  sha256: string
  /** 1-based. */
  frame: number
  /** Whether a picture of what the answer rests on is wanted, where the model gives one. */
  explain: boolean
}

/** What goes to a worker at once: a batch, or several small ones, which are run one after another. */
export interface LoadMessage {
  type: 'load'
  id: number
  /** Index into the models of `open`. */
  model: number
  items: readonly Work[]
}

export type ToWorker = OpenMessage | LoadMessage

export type Opened = { ok: true; provider: string; passedOver: string[] } | { ok: false; reason: string }

export type WorkTimings = Pick<Timings, 'fetchMs' | 'decodeMs' | 'prepareMs'>

/** Of a model that says more of an image than its label. */
export interface Marks {
  regions: Prediction['regions']
  /** PNG; null where none is wanted, or none can be drawn. */
  explanation: Uint8Array | null
}

/** @property run index into the runs of its load */
export type WorkResult =
  | { ok: true; answer: Answer; marks?: Marks; timings: WorkTimings; run: number }
  | { ok: false; code: ErrorCode; message: string }

export interface OpenedMessage {
  type: 'opened'
  /** One for each model of `open`. */
  models: readonly Opened[]
}

/** One run of the model: a batch. */
export interface Run {
  /** ms since the epoch, with fractions (performance.timeOrigin + performance.now()). */
  startedAt: number
  /** The model alone, ms. */
  inferMs: number
  /** Images that were in it. */
  images: number
}

export interface DoneMessage {
  type: 'done'
  id: number
  /** As of a run. */
  startedAt: number
  /** From start to answer, ms. */
  busyMs: number
  runs: readonly Run[]
  /** One for each item, in their order. */
  results: readonly WorkResult[]
}

/** The worker cannot go on; it ends after this. */
export interface BrokenMessage {
  type: 'broken'
  reason: string
}

export type FromWorker = OpenedMessage | DoneMessage | BrokenMessage

export const preciseNow = (): number => performance.timeOrigin + performance.now()
