/** From what models marked to segments and frames. */
import type { ModelVersion } from '../../../../schemas/topics.ts'
import type { StudyImage } from '../../study/format.ts'
import type { Referenced } from '../common.ts'

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
  /** x, y, x, y … each. */
  outlines: readonly (readonly number[])[]
}

const keyOf = ({ model, label }: Segment) => JSON.stringify([model.name, model.version, model.digest, label])

/** By segment (by model and label), then in the order of the images and their frames. */
export function framesOf(images: readonly Referenced[]): { segments: Segment[]; frames: MaskedFrame[] } {
  const marked = images.flatMap(of =>
    markedOn(of.image)
      .map(region => ({ ...region, of, segment: keyOf(region), plane: `${of.sopInstance} ${region.frame}` }))
      .sort((a, b) => a.frame - b.frame),
  )
  const positions = new Map([...new Set(marked.map(({ plane }) => plane))].map((plane, i) => [plane, i + 1]))
  const bySegment = [...Map.groupBy(marked, ({ segment }) => segment)].sort(([a], [b]) => (a < b ? -1 : 1))
  const segments = bySegment.flatMap(([, [first]]) => (first ? [{ model: first.model, label: first.label }] : []))
  const frames = bySegment.flatMap(([, regions], i) =>
    [...Map.groupBy(regions, ({ plane }) => plane)].flatMap(([plane, own]) => {
      const [first] = own
      if (!first) return []
      const outlines = own.map(({ points }) => points)
      return [{ segment: i + 1, of: first.of, frame: first.frame, position: positions.get(plane) ?? 0, outlines }]
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
