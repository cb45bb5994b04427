/**
 * Frames a picture of one digit as MNIST framed its own: bright on black, longest side 20, centre of mass in the middle
 * of 28 × 28. The twin of models/training/digit_frame.py, bit for bit: every decision is made on integers.
 */
import { resample } from '../imaging/resample.ts'
import { type Placement, wholeOf } from './placement.ts'

export const DIGIT_SIDE = 28
const BOX = 20
const CENTRE = 14

/** `grey`: 8 bit, row by row. Returns 28 × 28, and where the digit in it stood. */
export function frameDigit(grey: Uint8Array, width: number, height: number): { data: Uint8Array; place: Placement } {
  const bright = borderIsBright(grey, width, height) ? grey.map(value => 255 - value) : grey
  const canvas = new Uint8Array(DIGIT_SIDE * DIGIT_SIDE)
  let brightest = 0
  for (const value of bright) if (value > brightest) brightest = value
  if (brightest === 0) return { data: canvas, place: wholeOf(width, height, DIGIT_SIDE, DIGIT_SIDE) }

  const box = cutForeground(bright, width, height, brightest)
  const longest = Math.max(box.width, box.height)
  const newWidth = scaled(box.width, longest)
  const newHeight = scaled(box.height, longest)
  const sized =
    newWidth === box.width && newHeight === box.height
      ? box.data
      : resample(box.data, box.width, box.height, 1, newWidth, newHeight, 'bilinear')
  const { left, top } = paste(sized, newWidth, newHeight, canvas)
  const place = {
    x: { from: left, to: left + newWidth, start: box.left, end: box.left + box.width },
    y: { from: top, to: top + newHeight, start: box.top, end: box.top + box.height },
  }
  return { data: canvas, place }
}

/** Whether the outermost pixels, each once, are over 127 on average: bright paper. */
function borderIsBright(grey: Uint8Array, width: number, height: number): boolean {
  let sum = 0
  let count = 0
  for (let y = 0; y < height; y += 1) {
    const step = y === 0 || y === height - 1 || width === 1 ? 1 : width - 1
    for (let x = 0; x < width; x += step) {
      sum += grey[y * width + x] ?? 0
      count += 1
    }
  }
  return sum > 127 * count
}

/** The box around the pixels that are over a fifth of the brightest. */
function cutForeground(grey: Uint8Array, width: number, height: number, brightest: number) {
  let left = width
  let right = -1
  let top = height
  let bottom = -1
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (5 * (grey[y * width + x] ?? 0) <= brightest) continue
      if (x < left) left = x
      if (x > right) right = x
      if (y < top) top = y
      bottom = y
    }
  }
  const boxWidth = right - left + 1
  const boxHeight = bottom - top + 1
  const data = new Uint8Array(boxWidth * boxHeight)
  for (let y = 0; y < boxHeight; y += 1) {
    const from = (top + y) * width + left
    data.set(grey.subarray(from, from + boxWidth), y * boxWidth)
  }
  return { data, width: boxWidth, height: boxHeight, left, top }
}

/** side × 20 / longest, rounded half up, at least 1 */
const scaled = (side: number, longest: number) => Math.max(1, Math.floor((2 * BOX * side + longest) / (2 * longest)))

/** Puts the picture on the canvas so that its centre of mass falls on (14, 14), as far as it fits. */
function paste(data: Uint8Array, width: number, height: number, canvas: Uint8Array): { left: number; top: number } {
  let total = 0
  let momentX = 0
  let momentY = 0
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const value = data[y * width + x] ?? 0
      total += value
      momentX += x * value
      momentY += y * value
    }
  }
  if (total === 0) return { left: 0, top: 0 }
  const left = offset(momentX, total, width)
  const top = offset(momentY, total, height)
  for (let y = 0; y < height; y += 1) {
    canvas.set(data.subarray(y * width, (y + 1) * width), (top + y) * DIGIT_SIDE + left)
  }
  return { left, top }
}

/** floor(14 - moment / total + 0.5), kept on the canvas. All values are integers far below 2^53, so this is exact. */
function offset(moment: number, total: number, size: number): number {
  const exact = Math.floor(((2 * CENTRE + 1) * total - 2 * moment) / (2 * total))
  return Math.min(Math.max(exact, 0), DIGIT_SIDE - size)
}
