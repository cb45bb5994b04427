/** What a graph says pixel by pixel of one image: a mask, or what its answer rests on. */
import type { Along } from '../prepare/placement.ts'

export interface Plane {
  width: number
  height: number
  /** Row by row; a view of what the graph gave. */
  data: Float32Array | Float64Array
}

/** The same stretch of the input in pixels of a plane that lies over the whole input. @param side of plane and input, pixels */
export const onPlane = (along: Along, plane: number, input: number): Along => ({
  ...along,
  from: (along.from * plane) / input,
  to: (along.to * plane) / input,
})

/** Index of the first value that is no number; -1: all are. */
export function firstNotFinite({ data }: Plane): number {
  for (let at = 0; at < data.length; at += 1) if (!Number.isFinite(data[at])) return at
  return -1
}
