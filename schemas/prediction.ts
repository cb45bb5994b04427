/** What a single answer amounts to: shared by all who decide by it. */
import type { Prediction } from './topics/predictions.ts'

/**
 * Whether what the answer names was found. Below its threshold a binary model looked for something and did not find it
 * (its label is the other one then); the highest of several classes is there.
 */
export const isFound = ({ threshold, score }: Pick<Prediction, 'threshold' | 'score'>): boolean =>
  threshold === null || score >= threshold

/** Of many frames the middle one is looked at, 1-based: the first of a run or volume often shows least. */
export const frameLookedAt = (frames: number): number => Math.max(1, Math.floor((frames + 1) / 2))

/**
 * The label whose probability the score is, and for which an explanation speaks: the positive one of a binary model, else
 * the label that was given. Of two labels of one probability, as at 0.5, only what was found is the one that was given.
 */
export function scoredLabel(prediction: Pick<Prediction, 'probabilities' | 'score' | 'threshold' | 'label'>): string {
  const { probabilities, score, label } = prediction
  if (isFound(prediction) && probabilities[label] === score) return label
  const scored = Object.keys(probabilities).filter(one => Math.abs((probabilities[one] ?? Number.NaN) - score) < 1e-9)
  return scored.find(one => one !== label) ?? label
}
