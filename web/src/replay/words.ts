/** Figures of a comparison in words. */
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

export const words = (text: string): string[] => text.split(/[\s,]+/).filter(word => word !== '')
