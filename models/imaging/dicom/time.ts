/** Dates and times of a data set (PS3.5 6.2: DA, TM, DT). */
import type { DataSet } from 'dicom-parser'

/** Acquisition, content, series and study; the first that makes sense is when the image was made. */
const pairs = [
  ['x00080022', 'x00080032'],
  ['x00080023', 'x00080033'],
  ['x00080021', 'x00080031'],
  ['x00080020', 'x00080030'],
] as const

/**
 * When the image was made, ms since the epoch; null where nothing says so, or only nonsense. Times without an offset of
 * their own take Timezone Offset From UTC (0008,0201), or else the time zone of this process.
 */
export function acquiredAt(data: DataSet): number | null {
  const offset = offsetMinutes(data.string('x00080201'))
  const whole = data.string('x0008002a', 0)
  const [, stamp, own] = /^(\d{8,14}(?:\.\d{1,6})?)([+-]\d{4})?$/.exec(whole ?? '') ?? []
  if (stamp !== undefined) {
    const at = instant(stamp.slice(0, 8), stamp.slice(8), offsetMinutes(own) ?? offset)
    if (at !== null) return at
  }
  for (const [dateTag, timeTag] of pairs) {
    const at = instant(data.string(dateTag, 0), data.string(timeTag, 0) ?? '', offset)
    if (at !== null) return at
  }
  return null
}

function instant(date: string | undefined, time: string, offset: number | undefined): number | null {
  // yyyy.mm.dd and hh:mm:ss are what ACR-NEMA devices wrote
  const [, y, m, d] = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(date?.trim() ?? '') ?? []
  const clock = /^(?:(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?)?$/.exec(time.trim())
  if (y === undefined || clock === null) return null
  const [year, month, day] = [Number(y), Number(m), Number(d)]
  const [hour, minute, second] = [Number(clock[1] ?? 0), Number(clock[2] ?? 0), Number(clock[3] ?? 0)]
  const ms = Math.floor(Number(`0.${clock[4] ?? 0}`) * 1000)
  const utc = Date.UTC(year, month - 1, day, hour, minute, second, ms)
  const sane = year >= 1895 && year <= 2199 && hour < 24 && minute < 60 && second <= 60
  if (!sane || month < 1 || month > 12 || new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) return null
  return offset === undefined
    ? new Date(year, month - 1, day, hour, minute, second, ms).getTime()
    : utc - offset * 60_000
}

function offsetMinutes(text: string | undefined): number | undefined {
  const [, sign, hours, minutes] = /^([+-])(\d{2})(\d{2})$/.exec(text?.trim() ?? '') ?? []
  if (hours === undefined) return undefined
  const total = Number(hours) * 60 + Number(minutes)
  return total > 14 * 60 ? undefined : sign === '-' ? -total : total
}
