/** Numbers and names as people read them. */

/** 0.931 → "0.93"; never rounds up to a certainty that is not there. */
export function score(value: number): string {
  if (value < 1 && value >= 0.995) return '>0.99'
  if (value > 0 && value < 0.005) return '<0.01'
  return value.toFixed(2)
}

/** A score beside its threshold, with as many digits as it takes to tell them apart: 0.496 and 0.500, not 0.50 twice. */
export function scoreAgainst(value: number, threshold: number): [string, string] {
  const short = [score(value), score(threshold)] as const
  if (short[0] !== short[1] || value === threshold) return [...short]
  return [value.toFixed(3), threshold.toFixed(3)]
}

/** ms → "38 ms", "1.2 s", "3 min" */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '–'
  if (ms < 0) return '0 ms'
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

/** How long ago, in steps coarse enough to read without being drawn to it. */
export function age(ms: number): string {
  const seconds = Math.max(0, ms / 1_000)
  if (seconds < 10) return 'now'
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** @param age of `age()` */
export const ago = (age: string): string => (age === 'now' ? 'now' : `${age} ago`)
export const lasting = (age: string): string => (age === 'now' ? 'as of a moment ago' : `for ${age}`)

const units = ['B', 'kB', 'MB', 'GB', 'TB']

export function bytes(count: number): string {
  let value = count
  let unit = 0
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? 'B'}`
}

/** Per second: "0", "0.4", "12", "1.2k" */
export function rate(perSecond: number): string {
  if (perSecond >= 1_000) return `${(perSecond / 1_000).toFixed(1)}k`
  if (perSecond >= 10 || perSecond === 0) return String(Math.round(perSecond))
  return perSecond.toFixed(1)
}

export const integer = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export function time(at: number): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}

/** First characters of an id or a digest, enough to tell two apart. */
export function short(id: string, length = 8): string {
  return id.length > length + 1 ? `${id.slice(0, length)}…` : id
}

const flags: Readonly<Record<string, string>> = {
  'near-threshold': 'Near the threshold',
  'out-of-distribution': 'Unlike the images that the model knows',
  'low-confidence': 'Low confidence',
  'one-frame-of-many': 'One frame of many was looked at',
  'no-explanation': 'What it rests on cannot be shown',
}

/** A quality flag in words; one that is not known here is shown as it is. */
export function flag(name: string): string {
  const known = flags[name]
  if (known) return known
  const words = name.replaceAll(/[-_]/g, ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** How an image came: the kind of door, and who knocked; the path of an upload says nothing more. */
export function cameBy({ kind, peer }: { kind: string; peer: string }): string {
  return peer === '' || peer.startsWith('/') ? kind : `${kind} ${peer}`
}
