/** Reads what a graph gave for one image as a label, its probabilities and what is doubtful about it. */
import { RaylogError } from '../../schemas/errors.ts'
import type { Prediction } from '../../schemas/topics.ts'
import type { ModelManifest } from '../manifest.ts'

export type Answer = Pick<Prediction, 'label' | 'score' | 'threshold' | 'confidence' | 'probabilities' | 'quality'>

type Output = ModelManifest['output']

/** A binary score closer to the threshold than this is flagged. */
const NEAR_THRESHOLD = 0.05
/** A highest class below this probability is flagged. */
const UNCERTAIN_BELOW = 0.6
/** Of more labels than this only the likeliest are kept: a thousand in each prediction would be carried, stored and shown. */
const LABELS_KEPT_WHOLE = 32
const LIKELIEST_KEPT = 10
/** Rounding of float16 and of sums; more than this outside 0..1 is no probability. */
const SLACK = 1e-2

/**
 * @param raw the graph's numbers for one image
 * @throws RaylogError infer-failed when they are not finite, or not probabilities
 */
export function readOutput(raw: ArrayLike<number>, output: Output): Answer {
  for (let at = 0; at < raw.length; at += 1) {
    if (!Number.isFinite(raw[at])) throw new RaylogError('infer-failed', `output ${at} is ${raw[at]}`)
  }
  const values = probabilities(raw, output)
  const byLabel: Record<string, number> = {}
  for (const at of kept(values)) byLabel[output.labels[at] ?? ''] = values[at] ?? 0
  return output.kind === 'binary' ? readBinary(byLabel, output) : readMulticlass(values, byLabel, output)
}

function readBinary(byLabel: Record<string, number>, output: Output): Answer {
  const positive = output.positive ?? ''
  const threshold = output.threshold ?? 0.5
  const score = byLabel[positive] ?? 0
  const label = score >= threshold ? positive : (output.labels.find(name => name !== positive) ?? '')
  return {
    label,
    score,
    threshold,
    confidence: byLabel[label] ?? 0,
    probabilities: byLabel,
    quality: Math.abs(score - threshold) < NEAR_THRESHOLD ? ['near-threshold'] : [],
  }
}

/** The highest class; among equals the first in the manifest's order. */
function readMulticlass(values: Float64Array, byLabel: Record<string, number>, output: Output): Answer {
  let best = 0
  for (let at = 1; at < values.length; at += 1) if ((values[at] ?? 0) > (values[best] ?? 0)) best = at
  const score = values[best] ?? 0
  const label = output.labels[best] ?? ''
  const quality = score < UNCERTAIN_BELOW ? ['uncertain'] : []
  return { label, score, threshold: null, confidence: score, probabilities: byLabel, quality }
}

/** One for each label, in their order. A binary graph with a single output gives that of the positive label. */
function probabilities(raw: ArrayLike<number>, output: Output): Float64Array {
  const values = Float64Array.from(raw)
  if (output.activation === 'softmax') softmax(values)
  if (output.activation === 'sigmoid') for (const [at, value] of values.entries()) values[at] = sigmoid(value)
  for (let at = 0; at < values.length; at += 1) values[at] = toProbability(values[at] ?? 0)
  const [only] = values
  if (output.kind !== 'binary' || values.length !== 1 || only === undefined) return values
  return Float64Array.from(output.labels, label => (label === output.positive ? only : 1 - only))
}

/** Indices of the values that a prediction carries: all of a few, the likeliest of many, the first among equals. */
function kept(values: Float64Array): number[] {
  if (values.length <= LABELS_KEPT_WHOLE) return [...values.keys()]
  /** The likeliest so far, the likeliest first. */
  const best: number[] = []
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0
    if (best.length === LIKELIEST_KEPT && value <= (values[best[LIKELIEST_KEPT - 1] ?? 0] ?? 0)) continue
    let place = best.length
    while (place > 0 && value > (values[best[place - 1] ?? 0] ?? 0)) place -= 1
    best.splice(place, 0, at)
    best.length = Math.min(best.length, LIKELIEST_KEPT)
  }
  return best
}

/** @throws RaylogError infer-failed where it is more than rounding outside of 0..1 */
export function toProbability(value: number): number {
  if (value < -SLACK || value > 1 + SLACK) {
    throw new RaylogError('infer-failed', `${value} is not a probability; the manifest's activation may be wrong`)
  }
  return Math.min(1, Math.max(0, value))
}

export const sigmoid = (value: number) => 1 / (1 + Math.exp(-value))

/** In place. Counted loops: the entries of a thousand numbers take five times as long. */
function softmax(values: Float64Array): void {
  let most = Number.NEGATIVE_INFINITY
  for (let at = 0; at < values.length; at += 1) most = Math.max(most, values[at] ?? 0)
  let sum = 0
  for (let at = 0; at < values.length; at += 1) {
    const power = Math.exp((values[at] ?? 0) - most)
    values[at] = power
    sum += power
  }
  for (let at = 0; at < values.length; at += 1) values[at] = (values[at] ?? 0) / sum
}
