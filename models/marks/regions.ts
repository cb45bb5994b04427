/** A mask as outlines on the stored image. */
import { RaylogError } from '../../schemas/errors.ts'
import type { Prediction } from '../../schemas/topics.ts'
import type { ModelManifest } from '../manifest.ts'
import { type Placement, toStored } from '../prepare/placement.ts'
import { sigmoid, toProbability } from '../runtime/outputs.ts'
import { outlineOf } from './outline.ts'
import { findPieces } from './pieces.ts'
import { firstNotFinite, onPlane, type Plane } from './plane.ts'
import { simplify } from './simplify.ts'

type Region = Prediction['regions'][number]

/** Of one outline. A prediction is an event, and has up to 50 of them. */
const mostPoints = 256

export interface Marked {
  mask: NonNullable<ModelManifest['mask']>
  input: Pick<ModelManifest['input'], 'width' | 'height'>
  place: Placement
  /** What is outlined. */
  label: string
  /** 1-based. */
  frame: number
}

/**
 * One outline for each piece of the mask, the largest first. What lies beside the image, as in the black of `pad`, is none.
 * @throws RaylogError infer-failed when the mask holds what is no probability
 */
export function regionsOf(plane: Plane, { mask, input, place, label, frame }: Marked): Region[] {
  const { width, height, data } = plane
  const wrong = firstNotFinite(plane)
  if (wrong >= 0) throw new RaylogError('infer-failed', `${mask.name} at ${wrong} is ${data[wrong]}`)
  const across = onPlane(place.x, width, input.width)
  const down = onPlane(place.y, height, input.height)
  const smallest = mask.smallest * width * height
  const { pieces, labelled } = findPieces(width, height, smallest, (x, y) => {
    const raw = data[y * width + x] ?? 0
    const value = mask.activation === 'sigmoid' ? sigmoid(raw) : toProbability(raw)
    if (value < mask.threshold) return undefined
    // By its centre, as a mask is drawn on an image.
    return isWithin(x + 0.5, across) && isWithin(y + 0.5, down) ? value : undefined
  })
  return pieces
    .sort((a, b) => b.size - a.size || a.label - b.label)
    .slice(0, mask.most)
    .map(piece => ({
      label,
      score: Math.min(1, piece.sum / piece.size),
      frame,
      points: simplify(outlineOf(labelled, piece, smallest), mostPoints).map((at, i) =>
        rounded(toStored(i % 2 === 0 ? across : down, at)),
      ),
    }))
}

const isWithin = (at: number, { from, to }: { from: number; to: number }) => at >= from && at <= to

/** To a hundredth of a pixel. */
const rounded = (value: number) => Math.round(value * 100) / 100
