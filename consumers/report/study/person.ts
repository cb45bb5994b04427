/** Dates of DICOM as people read them. */

/** A DICOM date (PS3.5 6.2, DA) as ISO 8601; null for what is none. */
export function isoDate(text: string | null): string | null {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text ?? '') ?? []
  const iso = `${year}-${month}-${day}`
  const at = Date.parse(iso)
  return year !== undefined && !Number.isNaN(at) && new Date(at).toISOString().startsWith(iso) ? iso : null
}
