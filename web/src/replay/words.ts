/** Figures of a comparison in words, and times as a form and an address hold them. */
import type { Interval } from '../../../gateway/api/replays-statistics.ts'

export const percent = (value: number): string => `${(value * 100).toFixed(1)} %`

/** A share with its interval: "93.1 % (88.0 to 96.2)" */
export const shareWords = (of: Interval | null): string =>
  of === null ? '–' : `${percent(of.value)} (${(of.low * 100).toFixed(1)} to ${(of.high * 100).toFixed(1)})`

export const signed = (value: number): string => {
  const text = value.toFixed(3)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text.replace('-', '−')
}

export const shiftWords = (of: Interval | null): string =>
  of === null ? '–' : `${signed(of.value)} (${signed(of.low)} to ${signed(of.high)})`

export const areaWords = (of: Interval | null): string =>
  of === null ? '–' : `${of.value.toFixed(3)} (${of.low.toFixed(3)} to ${of.high.toFixed(3)})`

const two = (value: number) => String(value).padStart(2, '0')

/** ms → what <input type="datetime-local"> takes, in the zone of the person, to the minute or the second. */
export function toLocal(at: number): string {
  const date = new Date(at)
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** NaN where it is no time. */
export const fromLocal = (text: string): number => new Date(text).getTime()

/** A time of the address; null where it is none. */
export function fromIso(text: string | null): number | null {
  const at = text === null ? Number.NaN : Date.parse(text)
  return Number.isNaN(at) ? null : at
}

export const words = (text: string): string[] => text.split(/[\s,]+/).filter(word => word !== '')
