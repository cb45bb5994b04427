/** Names and dates of DICOM as people read them. */
import type { NameParts } from '../../../schemas/person-name.ts'

/** `Family, Prefix Given Middle, Suffix` */
export function nameOnALine({ family, given, middle, prefix, suffix }: NameParts): string {
  const first = [prefix, given, middle].filter(part => part !== '').join(' ')
  return [family, first, suffix].filter(part => part !== '').join(', ')
}

/** A DICOM date (PS3.5 6.2, DA) as ISO 8601; null for what is none. */
export function isoDate(text: string | null): string | null {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text ?? '') ?? []
  const iso = `${year}-${month}-${day}`
  const at = Date.parse(iso)
  return year !== undefined && !Number.isNaN(at) && new Date(at).toISOString().startsWith(iso) ? iso : null
}
