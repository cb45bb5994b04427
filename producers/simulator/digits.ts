/** Handwritten digits, drawn: strokes with a shaky hand, white on black. */
import sharp from 'sharp'
import { between, seeded } from './random.ts'

type Point = readonly [x: number, y: number]
interface Stroke {
  /** In a box of 1 x 1, y downwards. */
  points: readonly Point[]
  curved: boolean
}

const straight = (...points: Point[]): Stroke => ({ points, curved: false })
const curved = (...points: Point[]): Stroke => ({ points, curved: true })

const strokes: readonly (readonly Stroke[])[] = [
  [
    curved(
      [0.5, 0.06],
      [0.27, 0.2],
      [0.2, 0.5],
      [0.28, 0.82],
      [0.5, 0.95],
      [0.73, 0.82],
      [0.8, 0.5],
      [0.72, 0.2],
      [0.5, 0.06],
    ),
  ],
  [straight([0.4, 0.2], [0.54, 0.06], [0.5, 0.95])],
  [
    curved([0.22, 0.26], [0.34, 0.1], [0.54, 0.06], [0.72, 0.16], [0.74, 0.34], [0.6, 0.56], [0.4, 0.74], [0.2, 0.92]),
    straight([0.2, 0.92], [0.82, 0.9]),
  ],
  [
    curved(
      [0.24, 0.14],
      [0.46, 0.06],
      [0.68, 0.13],
      [0.72, 0.28],
      [0.6, 0.42],
      [0.42, 0.46],
      [0.64, 0.52],
      [0.77, 0.68],
      [0.68, 0.87],
      [0.45, 0.95],
      [0.22, 0.86],
    ),
  ],
  [straight([0.3, 0.08], [0.22, 0.5], [0.76, 0.5]), straight([0.72, 0.1], [0.64, 0.95])],
  [
    straight([0.76, 0.08], [0.34, 0.09], [0.28, 0.44]),
    curved([0.28, 0.44], [0.5, 0.4], [0.72, 0.52], [0.75, 0.7], [0.62, 0.88], [0.42, 0.94], [0.22, 0.86]),
  ],
  [
    curved(
      [0.66, 0.06],
      [0.44, 0.24],
      [0.3, 0.48],
      [0.25, 0.72],
      [0.35, 0.9],
      [0.54, 0.95],
      [0.71, 0.85],
      [0.74, 0.67],
      [0.6, 0.54],
      [0.42, 0.57],
      [0.28, 0.72],
    ),
  ],
  [straight([0.2, 0.11], [0.8, 0.1], [0.58, 0.5], [0.44, 0.94])],
  [
    curved(
      [0.72, 0.2],
      [0.55, 0.06],
      [0.33, 0.12],
      [0.3, 0.3],
      [0.5, 0.48],
      [0.72, 0.68],
      [0.7, 0.88],
      [0.48, 0.95],
      [0.28, 0.84],
      [0.3, 0.66],
      [0.5, 0.48],
      [0.7, 0.34],
      [0.72, 0.2],
    ),
  ],
  [
    curved([0.72, 0.26], [0.58, 0.08], [0.36, 0.1], [0.27, 0.28], [0.36, 0.46], [0.56, 0.46], [0.72, 0.26]),
    straight([0.73, 0.26], [0.68, 0.6], [0.6, 0.95]),
  ],
]

/** Catmull-Rom through the points, as a line of short pieces. */
function smooth(points: readonly Point[]): Point[] {
  const line: Point[] = []
  for (let i = 0; i + 1 < points.length; i++) {
    const [p1, p2] = [points[i] ?? [0, 0], points[i + 1] ?? [0, 0]]
    const [p0, p3] = [points[i - 1] ?? p1, points[i + 2] ?? p2]
    for (let step = 0; step < 8; step++) {
      const t = step / 8
      const at = (a: number, b: number, c: number, d: number) =>
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t ** 2 + (3 * b - a - 3 * c + d) * t ** 3)
      line.push([at(p0[0], p1[0], p2[0], p3[0]), at(p0[1], p1[1], p2[1], p3[1])])
    }
  }
  const last = points.at(-1)
  return last ? [...line, last] : line
}

/** The digit leant, squeezed and shaken, in pixels. */
function draw(digit: number, size: number, random: () => number): Point[][] {
  const lean = between(random, -0.12, 0.22)
  const [wide, high] = [between(random, 0.6, 0.78) * size, between(random, 0.68, 0.76) * size]
  const turn = between(random, -0.1, 0.1)
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
  const place = ([x, y]: Point): Point => {
    const u = (x - 0.5 + (0.5 - y) * lean + between(random, -0.015, 0.015)) * wide
    const v = (y - 0.5 + between(random, -0.015, 0.015)) * high
    return [size / 2 + u * cos - v * sin, size / 2 + u * sin + v * cos]
  }
  return (strokes[digit] ?? []).map(({ points, curved: bent }) => {
    const placed = points.map(place)
    return bent ? smooth(placed) : placed
  })
}

function distance(x: number, y: number, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay]
  const along = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)))
  return Math.hypot(x - ax - along * dx, y - ay - along * dy)
}

/**
 * PNG, 8 bit grey, white on black.
 * @param digit 0..9; chosen by the seed unless given
 * @param size sides, pixels
 */
export async function digitPng(seed: number, digit?: number, size = 56): Promise<Buffer> {
  const random = seeded(seed)
  const chosen = digit ?? Math.floor(random() * 10)
  const lines = draw(chosen, size, random)
  const half = between(random, 0.036, 0.05) * size
  const pixels = Buffer.alloc(size * size)
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let nearest = Number.POSITIVE_INFINITY
      for (const line of lines) {
        for (let i = 0; i + 1 < line.length; i++)
          nearest = Math.min(nearest, distance(x + 0.5, y + 0.5, line[i] ?? [0, 0], line[i + 1] ?? [0, 0]))
      }
      pixels[y * size + x] = Math.round(255 * Math.max(0, Math.min(1, half + 0.5 - nearest)))
    }
  }
  return sharp(pixels, { raw: { width: size, height: size, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer()
}
