/** The connected pieces of a mask. */

/** Pixels that are in, with a margin of one pixel that is out around them, so that every pixel has four neighbours. */
export interface Labelled {
  /** Of the mask, without the margin. */
  width: number
  height: number
  /** (width + 2) × (height + 2): 0 out, otherwise the number of its piece. */
  labels: Int32Array
}

export interface Piece {
  /** 1, 2, 3 … from top to bottom. */
  label: number
  /** Pixels. */
  size: number
  /** Sum of the probabilities of its pixels. */
  sum: number
  /** Its first row. */
  top: number
  /** Its last row. */
  bottom: number
}

/** Of a pixel that is in and of no piece yet. */
const unknown = -1

/**
 * Pieces whose pixels touch by a side. A library would label too, but then mark the borders over again: nothing that
 * traces contours also counts, weighs and chooses pieces.
 * @param smallest pixels; a piece of fewer is left out
 * @param probability of the pixel at a place of the mask; undefined: it is out
 */
export function findPieces(
  width: number,
  height: number,
  smallest: number,
  probability: (x: number, y: number) => number | undefined,
): { pieces: Piece[]; labelled: Labelled } {
  const stride = width + 2
  const labels = new Int32Array(stride * (height + 2))
  const values = new Float32Array(labels.length)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const value = probability(x, y)
      if (value === undefined) continue
      const at = (y + 1) * stride + x + 1
      labels[at] = unknown
      values[at] = value
    }
  }
  const pieces: Piece[] = []
  let label = 0
  for (let at = 0; at < labels.length; at += 1) {
    if (labels[at] !== unknown) continue
    label += 1
    const piece = { label, ...fill(labels, values, stride, at, label) }
    if (piece.size >= smallest) pieces.push(piece)
  }
  return { pieces, labelled: { width, height, labels } }
}

function fill(labels: Int32Array, values: Float32Array, stride: number, first: number, label: number) {
  const todo = [first]
  labels[first] = label
  let [size, sum, last] = [0, 0, first]
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    size += 1
    sum += values[at] ?? 0
    last = Math.max(last, at)
    for (const next of [at - stride, at - 1, at + 1, at + stride]) {
      if (labels[next] !== unknown) continue
      labels[next] = label
      todo.push(next)
    }
  }
  const top = Math.floor(first / stride) - 1
  return { size, sum, top, bottom: Math.floor(last / stride) - 1 }
}
