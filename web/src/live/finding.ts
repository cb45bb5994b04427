/** What a prediction means for whoever reads the list: how much attention it wants, and whether to trust it. */
import type { Prediction } from '../api/types.ts'
import { score as words } from '../format.ts'

/**
 * - `attention` the score reaches the threshold
 * - `check` near the threshold, or below it on an image that the model may not know
 * - `clear` below the threshold
 * - `none` a class without a threshold: says nothing of urgency
 */
export type Level = 'attention' | 'check' | 'clear' | 'none'

export const levelWords: Readonly<Record<Level, string>> = {
  attention: 'needs attention',
  check: 'uncertain, check',
  clear: 'below the threshold',
  none: 'a class without a threshold',
}

/** What the score means, in a sentence. */
export function verdict(said: Pick<Prediction, 'score' | 'threshold' | 'quality'>): string {
  if (said.threshold === null) return 'The likeliest class; there is no threshold.'
  const where = said.score >= said.threshold ? 'At or above' : 'Below'
  if (levelOf(said) !== 'check') return `${where} the threshold of ${words(said.threshold)}.`
  const near = said.quality.includes('near-threshold')
  return near
    ? `So close to the threshold of ${words(said.threshold)} that it may fall either way. Check.`
    : `${where} the threshold of ${words(said.threshold)}, on an image that the model may not know. Check.`
}

export function levelOf({ score, threshold, quality }: Pick<Prediction, 'score' | 'threshold' | 'quality'>): Level {
  if (threshold === null) return 'none'
  if (quality.includes('near-threshold')) return 'check'
  if (score >= threshold) return 'attention'
  return quality.length > 0 ? 'check' : 'clear'
}

const roleOrder = ['production', 'canary', 'shadow', 'replay']
const levelOrder: readonly Level[] = ['attention', 'check', 'clear', 'none']

/** The prediction that stands for an image: production first, then what wants most attention, then the newest. */
export function leading(predictions: readonly Prediction[]): Prediction | undefined {
  return [...predictions].sort(
    (a, b) =>
      roleOrder.indexOf(a.role) - roleOrder.indexOf(b.role) ||
      levelOrder.indexOf(levelOf(a)) - levelOrder.indexOf(levelOf(b)) ||
      b.predictedAt - a.predictedAt,
  )[0]
}
