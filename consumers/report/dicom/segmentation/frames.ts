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
  /** Which of the images' frames that something is marked on: 1, 2, 3 … The same for every segment (PS3.3 C.7.6.17). */
  position: number
  /** One byte a pixel. */
  mask: Uint8Array
}

const keyOf = ({ model, label }: Segment) => JSON.stringify([model.name, model.version, model.digest, label])

/** By segment (by model and label), then in the order of the images and their frames. */
export function framesOf(
  images: readonly Referenced[],
  { rows, columns }: { rows: number; columns: number },
): { segments: Segment[]; frames: MaskedFrame[] } {
  const marked = images.flatMap(of =>
    markedOn(of.image)
      .map(region => ({ ...region, of }))
      .sort((a, b) => a.frame - b.frame),
  )
  const planes = [...Map.groupBy(marked, ({ of, frame }) => `${of.sopInstance} ${frame}`).values()]
  const segments = [...new Map(marked.map(({ model, label }) => [keyOf({ model, label }), { model, label }]))]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, segment]) => segment)
  const frames = segments.flatMap((segment, i) =>
    planes.flatMap((regions, at) => {
      const own = regions.filter(region => keyOf(region) === keyOf(segment))
      const [first] = own
      if (!first) return []
      const mask = new Uint8Array(rows * columns)
      for (const { points } of own) fillOutline(mask, columns, rows, points)
      return [{ segment: i + 1, of: first.of, frame: first.frame, position: at + 1, mask }]
    }),
  )
  return { segments, frames }
}

/** Outlines that a mask can be made of. */
export const markedOn = ({ said }: StudyImage) =>
  said.flatMap(({ prediction: { model, regions } }) =>
    regions
      .filter(({ points, frame }) => frame >= 1 && points.length >= 6 && points.every(Number.isFinite))
      .map(({ label, frame, points }) => ({ model, label, frame, points })),
  )
