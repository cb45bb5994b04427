/** Hours of a week in a time zone: whether a moment is within, and when they are over. */
import { days, type Hours } from './config-people.ts'

interface Local {
  /** 0: Monday. */
  day: number
  /** Since midnight, 0..1439. */
  minute: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

function localOf(at: number, timeZone: string): Local {
  let format = formats.get(timeZone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    formats.set(timeZone, format)
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const day = days.map(String).indexOf(parts.weekday?.toLowerCase() ?? '')
  return { day, minute: Number(parts.hour) * 60 + Number(parts.minute) }
}

const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
const begins = (hours: Hours, day: number): boolean =>
  hours.days.length === 0 || hours.days.some(name => days.indexOf(name) === day)

function holds(hours: Hours, { day, minute }: Local): boolean {
  const [from, to] = [minutes(hours.from), minutes(hours.to)]
  if (from < to) return begins(hours, day) && minute >= from && minute < to
  // Over midnight: the part of this day, or the rest of the day before.
  return (begins(hours, day) && minute >= from) || (begins(hours, (day + 6) % 7) && minute < to)
}

/** Whether the moment is within any of them. */
export function within(all: readonly Hours[], at: number, timeZone: string): boolean {
  const local = localOf(at, timeZone)
  return all.some(hours => holds(hours, local))
}

const minuteMs = 60_000
const weekMinutes = 7 * 24 * 60

/**
 * When the hours are over that the moment is within; the moment itself where it is in none. A step a quarter of an hour
 * and then a minute, so that a clock that is put forward or back is as the time zone says. Hours without an end: a week.
 */
export function over(all: readonly Hours[], at: number, timeZone: string): number {
  if (!within(all, at, timeZone)) return at
  const start = Math.floor(at / minuteMs) * minuteMs
  for (let quarter = 1; quarter * 15 <= weekMinutes; quarter++) {
    const then = start + quarter * 15 * minuteMs
    if (within(all, then, timeZone)) continue
    for (let minute = then - 14 * minuteMs; minute <= then; minute += minuteMs)
      if (!within(all, minute, timeZone)) return minute
  }
  return at + weekMinutes * minuteMs
}
