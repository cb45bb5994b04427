/** The border of a piece of a mask as one closed line along the sides of its pixels: exactly its area, holes left out. */
import type { Labelled, Piece } from './pieces.ts'

/** x, y, x, y … in pixels of the mask; 0, 0 is the upper left corner of the upper left pixel. Closed, the first point not repeated. */
export type Ring = number[]

/** Holes of a piece that are left out of it, at most: the largest. Smaller ones are noise. */
const mostHoles = 20

/** Steps to the right, down, to the left, up. */
const steps = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const

/** @param smallestHole pixels; a hole of fewer is filled */
export function outlineOf(labelled: Labelled, piece: Piece, smallestHole: number): Ring {
  const [outer = [], ...holes] = ringsOf(labelled, piece)
  const kept = holes
    .map(ring => ({ ring, area: areaOf(ring), start: upperLeft(ring) }))
    .filter(({ area }) => area >= smallestHole)
    .sort((a, b) => b.area - a.area)
    .slice(0, mostHoles)
    .sort((a, b) => a.start.y - b.start.y || a.start.x - b.start.x)
  let outline = outer
  for (const { ring, start } of kept) outline = withHole(outline, ring, start)
  return outline
}

/** The outer border first, clockwise, then those of its holes, counterclockwise. */
function ringsOf(labelled: Labelled, { label, top, bottom }: Piece): Ring[] {
  const { width, labels } = labelled
  const stride = width + 2
  const seen = new Set<number>()
  const rings: Ring[] = []
  for (let y = top; y <= bottom; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y + 1) * stride + x + 1
      // Every border has an upper side of one of its pixels: the outer one its own, a hole that of the pixel below it.
      if (labels[at] !== label || labels[at - stride] === label || seen.has(at)) continue
      rings.push(trace(labelled, label, x, y, seen))
    }
  }
  return rings
}

/**
 * Walks with the piece at the right hand from the upper left corner of a pixel along its upper side.
 * @param seen gets the pixels whose upper sides were walked along
 */
function trace({ width, labels }: Labelled, label: number, startX: number, startY: number, seen: Set<number>): Ring {
  const stride = width + 2
  const ring: Ring = []
  let [x, y, heading] = [startX, startY, 0]
  do {
    // The four pixels around the corner x, y, clockwise from the lower right one: ahead to the right by the heading.
    const lowerRight = (y + 1) * stride + x + 1
    if (heading === 0) seen.add(lowerRight)
    const [dx, dy] = steps[heading] ?? steps[0]
    x += dx
    y += dy
    const corner = (y + 1) * stride + x + 1
    const around = [corner, corner - 1, corner - 1 - stride, corner - stride]
    const aheadRight = around[heading] ?? 0
    const aheadLeft = around[(heading + 3) % 4] ?? 0
    // Pixels that touch by a corner alone are of different pieces: to the right first.
    const turn = labels[aheadRight] !== label ? 1 : labels[aheadLeft] === label ? 3 : 0
    if (turn !== 0) ring.push(x, y)
    heading = (heading + turn) % 4
  } while (x !== startX || y !== startY || heading !== 0)
  return ring
}

/** Shoelace formula; of a hole too, whose points go the other way round. */
function areaOf(ring: Ring): number {
  let twice = 0
  for (let at = 0; at < ring.length; at += 2) {
    const next = (at + 2) % ring.length
    twice += (ring[at] ?? 0) * (ring[next + 1] ?? 0) - (ring[next] ?? 0) * (ring[at + 1] ?? 0)
  }
  return Math.abs(twice) / 2
}

/** @property at where it stands in the ring */
function upperLeft(ring: Ring): { x: number; y: number; at: number } {
  let best = { x: Number.POSITIVE_INFINITY, y: Number.POSITIVE_INFINITY, at: 0 }
  for (let at = 0; at < ring.length; at += 2) {
    const [x = 0, y = 0] = [ring[at], ring[at + 1]]
    if (y < best.y || (y === best.y && x < best.x)) best = { x, y, at }
  }
  return best
}

/**
 * A region has one line, so a hole is reached by a way without width: from the hole's upper left corner to the left, along
 * the sides of pixels, until the line so far is met. There must be one: every hole above and to the left is in it already.
 */
function withHole(outline: Ring, hole: Ring, start: { x: number; y: number; at: number }): Ring {
  let meets = -1
  let x = Number.NEGATIVE_INFINITY
  for (let at = 0; at < outline.length; at += 2) {
    const next = (at + 2) % outline.length
    const [here = 0, fromY = 0, there = 0, toY = 0] = [outline[at], outline[at + 1], outline[next], outline[next + 1]]
    const upright = here === there && Math.min(fromY, toY) <= start.y && Math.max(fromY, toY) >= start.y
    if (!upright || here > start.x || here <= x) continue
    meets = at
    x = here
  }
  const around = [...hole.slice(start.at), ...hole.slice(0, start.at), start.x, start.y]
  return [...outline.slice(0, meets + 2), x, start.y, ...around, x, start.y, ...outline.slice(meets + 2)]
}
