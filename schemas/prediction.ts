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
