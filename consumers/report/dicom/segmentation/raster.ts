/**
 * Outlines to masks of one bit a pixel: frames one after the other without a gap, the first pixel in the lowest bit (PS3.5
 * 8.1.1, Annex D). Drawn where they stand in the file: a mask of a byte a pixel would be eight times as large.
 */

export interface Grid {
  columns: number
  rows: number
}

/** Of so many frames with nothing set; an even length. */
export const emptyFrames = (count: number, { columns, rows }: Grid): Uint8Array =>
  new Uint8Array(2 * Math.ceil((count * columns * rows) / 16))

/**
 * Sets the pixels whose centre lies within an outline (even-odd), row by row.
 * @param frame which, counted from 0
 * @param points x, y, x, y … in pixels; 0, 0 is the upper left corner of the upper left pixel
 */
export function fillOutline(bits: Uint8Array, frame: number, { columns, rows }: Grid, points: readonly number[]): void {
  const start = frame * columns * rows
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
      if (to > from) setBits(bits, start + row * columns + from, start + row * columns + to)
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

function setBits(bits: Uint8Array, from: number, to: number): void {
  let at = from
  const set = () => {
    const byte = Math.floor(at / 8)
    bits[byte] = (bits[byte] ?? 0) | (1 << (at % 8))
    at += 1
  }
  while (at < to && at % 8 !== 0) set()
  const whole = Math.floor(to / 8)
  if (whole * 8 > at) {
    bits.fill(0xff, at / 8, whole)
    at = whole * 8
  }
  while (at < to) set()
}
