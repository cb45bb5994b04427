/** What a model says of an image beside its label: where, and what that rests on. */
import type { ModelManifest } from '../manifest.ts'
import { drawExplanation, type Shown } from '../marks/picture.ts'
import { regionsOf } from '../marks/regions.ts'
import type { Placement } from '../prepare/placement.ts'
import type { Answer } from './outputs.ts'
import type { Marks } from './protocol.ts'
import type { Given } from './sessions.ts'

/** How the model saw an image. */
export interface Seen {
  place: Placement
  /** 1-based. */
  frame: number
  /** For a picture of what the answer rests on; undefined where none is wanted. */
  shown: Shown | undefined
}

/** An answer whose explanation cannot be drawn stands, and says so. */
const UNEXPLAINED = 'no-explanation'

export const isMarking = ({ mask, explanation }: ModelManifest): boolean =>
  mask !== undefined || explanation !== undefined

/** @throws RaylogError infer-failed when the mask holds what is no probability */
export async function readMarks(
  answer: Answer,
  given: Given,
  { mask, explanation, input, output }: ModelManifest,
  { place, frame, shown }: Seen,
): Promise<{ answer: Answer; marks: Marks }> {
  const label = mask?.label ?? output.positive ?? ''
  // A label of the model's own is an answer of it: where it is not given, its outline would say otherwise.
  const isOutlined = label === answer.label || !output.labels.includes(label)
  const regions = mask && given.mask && isOutlined ? regionsOf(given.mask, { mask, input, place, label, frame }) : []
  if (!explanation || !given.explanation || !shown) return { answer, marks: { regions, explanation: null } }
  const picture = await drawExplanation(shown, given.explanation, input, place)
  if (picture) return { answer, marks: { regions, explanation: picture } }
  const unexplained = { ...answer, quality: [...answer.quality, UNEXPLAINED] }
  return { answer: unexplained, marks: { regions, explanation: null } }
}
