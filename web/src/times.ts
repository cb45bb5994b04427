/** Times as a form and an address hold them. */

const two = (value: number) => String(value).padStart(2, '0')
/** A field empties itself of a year that is shorter, as each is while it is typed. */
const four = (value: number) => String(value).padStart(4, '0')

/** ms → what <input type="datetime-local"> takes, in the zone of the person, to the minute or the second. */
export function toLocal(at: number): string {
  const date = new Date(at)
  const day = `${four(date.getFullYear())}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** NaN where it is no time. */
export const fromLocal = (text: string): number => new Date(text).getTime()

/** A time of the address; null where it is none. */
export function fromIso(text: string | null): number | null {
  const at = text === null ? Number.NaN : Date.parse(text)
  return Number.isNaN(at) ? null : at
}

/** As the server takes it, which knows of nothing before 1970. */
export const sinceEpoch = (at: number): number => Math.max(0, at)
