/** From what models marked to segments and frames. */
import type { ModelVersion } from '../../../../schemas/topics.ts'
import type { StudyImage } from '../../study/format.ts'
import type { Referenced } from '../common.ts'
import { fillOutline } from './raster.ts'

/** What one model calls by one label. */
export interface Segment {
  model: ModelVersion
  label: string
}

/** One segment on one frame of one image. */
export interface MaskedFrame {
  /** 1, 2, 3 … */
  segment: number
  of: Referenced
  /** Of the image, counted from 1. */
  frame: number
  /** One byte a pixel. */
  mask: Uint8Array
}

const keyOf = ({ model, label }: Segment) => JSON.stringify([model.name, model.version, model.digest, label])

/** In the order of the images; segments by model and label. */
export function framesOf(
  images: readonly Referenced[],
  { rows, columns }: { rows: number; columns: number },
): { segments: Segment[]; frames: MaskedFrame[] } {
  const marked = images.flatMap(of => markedOn(of.image).map(region => ({ ...region, of })))
  const segments = [...new Map(marked.map(({ model, label }) => [keyOf({ model, label }), { model, label }]))]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, segment]) => segment)
  const frames = segments.flatMap((segment, i) => {
    const regions = marked.filter(region => keyOf(region) === keyOf(segment))
    const byFrame = Map.groupBy(regions, ({ of, frame }) => `${of.sopInstance} ${String(frame).padStart(6, '0')}`)
    return [...byFrame.values()].flatMap(([first, ...others]) => {
      if (!first) return []
      const mask = new Uint8Array(rows * columns)
      for (const { points } of [first, ...others]) fillOutline(mask, columns, rows, points)
      return [{ segment: i + 1, of: first.of, frame: first.frame, mask }]
    })
  })
  return { segments, frames }
}

/** Outlines that a mask can be made of. */
export const markedOn = ({ said }: StudyImage) =>
  said.flatMap(({ prediction: { model, regions } }) =>
    regions
      .filter(({ points, frame }) => frame >= 1 && points.length >= 6 && points.every(Number.isFinite))
      .map(({ label, frame, points }) => ({ model, label, frame, points })),
  )
