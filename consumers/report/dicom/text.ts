/** Texts as their VR allows them (PS3.5 6.2): what a model or a setting says may be anything. */

/** One line without the separator of values; at most so many characters. */
export const line = (text: string, most = 64): string =>
  [
    ...text
      .replace(/\p{Cc}/gu, ' ')
      .replaceAll('\\', '/')
      .trim(),
  ]
    .slice(0, most)
    .join('')
    .trim()

/** Several lines; what UT and ST allow. */
export const lines = (text: string): string => text.replace(/[^\P{Cc}\r\n\t]/gu, ' ').trim()

/** Timezone Offset From UTC (PS3.3 C.12.1.1.8) where the text is one: what is no offset is neither used nor repeated. */
export const offsetOf = (text: string | null): string | null =>
  text !== null && /^[+-](0\d|1[0-4])[0-5]\d$/.test(text) ? text : null

/** Date (DA), time (TM) and both with the offset (DT), in the offset of the images where they say one; otherwise in UTC. @param offset of `offsetOf` */
export function timesOf(ms: number, offset: string | null): { date: string; time: string; dateTime: string } {
  const shown = offset ?? '+0000'
  const shift = (shown.startsWith('-') ? -1 : 1) * (Number(shown.slice(1, 3)) * 60 + Number(shown.slice(3)))
  const iso = new Date(ms + shift * 60_000).toISOString()
  const date = iso.slice(0, 10).replaceAll('-', '')
  const time = `${iso.slice(11, 19).replaceAll(':', '')}.${iso.slice(20, 23)}`
  return { date, time, dateTime: `${date}${time.slice(0, 6)}${shown}` }
}
