/** Models: the port through which stages ask which models take an image, and what they say of it. */
import type { Instance, ModelVersion, Prediction, Priority } from '../schemas/topics.ts'
import type { ModelManifest } from './manifest.ts'

export interface ModelInfo {
  manifest: ModelManifest
  ref: ModelVersion
  state: 'loading' | 'ready' | 'failed'
  /** Why it failed. */
  reason: string | null
  /** Loaded, and not used for what comes in. Absent: it is. */
  standby?: true
}

/** Whether a model takes an instance, and why or why not, in words for people. */
export interface Route {
  model: ModelVersion
  accepted: boolean
  reason: string
}

export type ModelOutput = Pick<
  Prediction,
  'label' | 'score' | 'threshold' | 'confidence' | 'probabilities' | 'regions' | 'quality' | 'timings'
> & {
  /** What the answer rests on: a picture (PNG) over the image as people see it. Null where the model gives none, and of background work. */
  explanation: Uint8Array | null
}

export interface PredictOptions {
  /** `background` takes a worker only while nothing else waits for one, and leaves a free one where there is live work. */
  priority: Priority | 'background'
  signal: AbortSignal
  /** Aborted: rejects with its reason, unless a worker has the work already. */
  leaving?: AbortSignal
}

export interface Models {
  list(): ModelInfo[]
  /** Of models in production, by their manifests and the operator's rules; with `standby` of those on standby too. */
  routes(instance: Instance, options?: { standby?: boolean }): Route[]
  /**
   * Queues the instance's object for the model and resolves with what it says.
   * @throws RaylogError object-missing, decode-failed, no-pixels, unknown-transfer-syntax, infer-failed, worker-died,
   *   worker-killer, worker-timeout
   */
  predict(model: ModelVersion, instance: Instance, options: PredictOptions): Promise<ModelOutput>
  /** Live work comes, to whichever process: background work of this one gives way as if it had come here. */
  giveWay(): void
  close(): Promise<void>
}
