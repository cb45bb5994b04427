/** Fewer points for a closed line, by Douglas and Peucker (Cartographica 10(2), 1973). */

/** Distance that a point may be left out by, in the units of the points: it smooths the steps of a slanting border. */
const tolerance = 1

/**
 * As it is where it has no more points than are wanted: an outline of few points is exact. Otherwise it is refined where it
 * is furthest off, until it is off by no more than the tolerance or has as many points: so its cost is bounded too.
 * @param ring x, y, x, y … closed, the first point not repeated
 */
export function simplify(ring: number[], mostPoints: number): number[] {
  const count = ring.length / 2
  if (count <= mostPoints) return ring
  const opposite = furthest(ring, 0, count).at
  const kept = [0, opposite]
  const stretches = [stretchOf(ring, 0, opposite), stretchOf(ring, opposite, count)]
  while (kept.length < mostPoints) {
    const worst = stretches.reduce((a, b) => (b.distance > a.distance ? b : a))
    if (worst.distance <= tolerance) break
    kept.push(worst.at)
    stretches[stretches.indexOf(worst)] = stretchOf(ring, worst.from, worst.at)
    stretches.push(stretchOf(ring, worst.at, worst.to))
  }
  const fewer = kept.sort((a, b) => a - b).flatMap(at => ring.slice(2 * at, 2 * at + 2))
  return fewer.length >= 6 ? fewer : boxOf(ring)
}

const stretchOf = (ring: number[], from: number, to: number) => ({ from, to, ...furthest(ring, from, to) })

/** The point between two that is furthest from the straight line that joins them. @param to may be one past the last: the first */
function furthest(ring: number[], from: number, to: number): { at: number; distance: number } {
  const end = (2 * to) % ring.length
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = [ring[2 * from], ring[2 * from + 1], ring[end], ring[end + 1]]
  const [dx, dy] = [x2 - x1, y2 - y1]
  const length = dx * dx + dy * dy
  let [at, most] = [from, -1]
  for (let i = from + 1; i < to; i += 1) {
    const [x, y] = [(ring[2 * i] ?? 0) - x1, (ring[2 * i + 1] ?? 0) - y1]
    const along = length === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / length))
    const distance = (x - along * dx) ** 2 + (y - along * dy) ** 2
    if (distance <= most) continue
    at = i
    most = distance
  }
  return { at, distance: Math.sqrt(Math.max(0, most)) }
}

/** What is left where a line is so thin that nothing of it would be. */
function boxOf(ring: number[]): number[] {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]
  for (let at = 0; at < ring.length; at += 2) {
    const [x = 0, y = 0] = [ring[at], ring[at + 1]]
    left = Math.min(left, x)
    right = Math.max(right, x)
    top = Math.min(top, y)
    bottom = Math.max(bottom, y)
  }
  return [left, top, right, top, right, bottom, left, bottom]
}
