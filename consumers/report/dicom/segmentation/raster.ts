/** Outlines to masks of one bit a pixel. */

/**
 * Sets the pixels whose centre lies within an outline (even-odd), row by row.
 * @param points x, y, x, y … in pixels; 0, 0 is the upper left corner of the upper left pixel
 * @param mask one byte a pixel, row by row
 */
export function fillOutline(mask: Uint8Array, columns: number, rows: number, points: readonly number[]): void {
  const count = points.length >> 1
  const [top, bottom] = rangeOf(points, rows)
  for (let row = top; row <= bottom; row++) {
    const y = row + 0.5
    const crossings: number[] = []
    for (let i = 0, j = count - 1; i < count; j = i++) {
      const [x1 = 0, y1 = 0] = [points[2 * i], points[2 * i + 1]]
      const [x2 = 0, y2 = 0] = [points[2 * j], points[2 * j + 1]]
      if (y1 > y === y2 > y) continue
      crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1))
    }
    crossings.sort((a, b) => a - b)
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil((crossings[i] ?? 0) - 0.5))
      const to = Math.min(columns, Math.ceil((crossings[i + 1] ?? 0) - 0.5))
      if (to > from) mask.fill(1, row * columns + from, row * columns + to)
    }
  }
}

/** First and last row that an outline can touch. */
function rangeOf(points: readonly number[], rows: number): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 1; i < points.length; i += 2) {
    low = Math.min(low, points[i] ?? 0)
    high = Math.max(high, points[i] ?? 0)
  }
  return [Math.max(0, Math.floor(low)), Math.min(rows - 1, Math.ceil(high))]
}

/** Frames one after the other without a gap, the first pixel in the lowest bit (PS3.5 8.1.1, Annex D); an even length. */
export function packBits(frames: readonly Uint8Array[]): Uint8Array {
  const bits = frames.reduce((sum, { length }) => sum + length, 0)
  const packed = new Uint8Array(2 * Math.ceil(bits / 16))
  let at = 0
  for (const frame of frames) {
    for (const pixel of frame) {
      if (pixel !== 0) packed[at >> 3] = (packed[at >> 3] ?? 0) | (1 << (at & 7))
      at += 1
    }
  }
  return packed
}
