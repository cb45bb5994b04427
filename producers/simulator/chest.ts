/** What a frontal chest radiograph looks like from afar: body, lungs, heart, spine, ribs, diaphragm, at times an opacity. */
import { between, seeded } from './random.ts'

/** Stored values have 12 bits; dense is bright (MONOCHROME2). */
const maxStored = 4095

/** 0 outside, 1 inside an ellipse, with a soft rim. */
function ellipse(x: number, y: number, cx: number, cy: number, rx: number, ry: number, soft: number): number {
  const outside = Math.hypot((x - cx) / rx, (y - cy) / ry) - 1
  return outside > soft ? 0 : outside < -soft ? 1 : 0.5 - outside / (2 * soft)
}

interface Anatomy {
  width: number
  lungHeight: number
  heart: number
  ribs: number
  opacity: { x: number; y: number; radius: number; density: number } | undefined
}

function anatomy(random: () => number): Anatomy {
  const opaque = random() < 0.4
  const right = random() < 0.5
  return {
    width: between(random, 0.94, 1.06),
    lungHeight: between(random, 0.3, 0.34),
    heart: between(random, 0.92, 1.1),
    ribs: between(random, 18, 22),
    opacity: opaque
      ? {
          x: (right ? 0.3 : 0.7) + between(random, -0.05, 0.05),
          y: between(random, 0.38, 0.66),
          radius: between(random, 0.05, 0.11),
          density: between(random, 600, 1_100),
        }
      : undefined,
  }
}

/** Stored value at a place of the picture, both 0..1 from the top left. */
function density(x: number, y: number, body: Anatomy): number {
  const { width } = body
  const torso = ellipse(x, y, 0.5, 0.72, 0.47 * width, 0.66, 0.06)
  const neck = ellipse(x, y, 0.5, 0.06, 0.14, 0.16, 0.2)
  const inside = Math.max(torso, neck)
  const left = ellipse(x, y, 0.5 - 0.205 * width, 0.47, 0.155 * width, body.lungHeight, 0.12)
  const right = ellipse(x, y, 0.5 + 0.205 * width, 0.47, 0.15 * width, body.lungHeight, 0.12)
  const heart = ellipse(x, y, 0.55, 0.62, 0.135 * body.heart, 0.15 * body.heart, 0.15)
  const dome = 0.74 + 1.6 * Math.min((x - 0.3) ** 2, (x - 0.71) ** 2)
  const abdomen = Math.max(0, Math.min(1, (y - dome) * 25))
  const lung = Math.max(left, right) * (1 - heart) * (1 - abdomen)
  const mediastinum = Math.max(0, 1 - Math.abs(x - 0.5) / 0.1)
  const rib = Math.max(0, Math.sin((y - 0.35 * Math.abs(x - 0.5) + 0.6 * (x - 0.5) ** 2) * body.ribs * Math.PI) - 0.55)
  const clavicle =
    Math.max(0, 1 - Math.abs(y - 0.17 - 0.15 * Math.abs(x - 0.5)) / 0.018) * (Math.abs(x - 0.5) < 0.34 ? 1 : 0)
  const spot = body.opacity
    ? body.opacity.density *
      Math.exp(-((x - body.opacity.x) ** 2 + (y - body.opacity.y) ** 2) / (2 * body.opacity.radius ** 2))
    : 0
  const tissue = 2_150 + 750 * mediastinum + 350 * abdomen + 250 * heart
  const value = tissue - lung * (tissue - 850) + 480 * rib * torso + 330 * clavicle + spot * lung
  return 60 + inside * value
}

/**
 * Stored values of 12 bits, row by row.
 * @param size rows and columns
 */
export function chestPixels(seed: number, size: number): Uint16Array {
  const random = seeded(seed)
  const body = anatomy(random)
  const pixels = new Uint16Array(size * size)
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const noise = between(random, -45, 45)
      const value = density((column + 0.5) / size, (row + 0.5) / size, body) + noise
      pixels[row * size + column] = Math.max(0, Math.min(maxStored, Math.round(value)))
    }
  }
  return pixels
}
