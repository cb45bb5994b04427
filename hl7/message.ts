/**
 * HL7 v2 in its vertical-bar encoding (HL7 2.5.1, chapter 2.5 to 2.7): segments of fields, with the escapes that the
 * delimiters need. What the libraries at hand would do beside this is parse and send, which nothing here does.
 */

/** A field or component in its encoding. Text becomes one by `text`, so none can be written without its escapes. */
export interface Encoded {
  readonly hl7: string
}

const escapes: Readonly<Record<string, string>> = {
  '|': '\\F\\',
  '^': '\\S\\',
  '~': '\\R\\',
  '\\': '\\E\\',
  '&': '\\T\\',
}

const encoded = (hl7: string): Encoded => ({ hl7 })

/** White space, line breaks and control characters become one space: they would end a segment, or upset who reads it. */
export const text = (value: string | number | null): Encoded =>
  encoded(
    String(value ?? '')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
      .trim()
      .replace(/[|^~\\&]/g, character => escapes[character] ?? ''),
  )

const joined = (parts: readonly Part[], by: string, trailing: RegExp): Encoded =>
  encoded(
    parts
      .map(part => asEncoded(part).hl7)
      .join(by)
      .replace(trailing, ''),
  )

export type Part = Encoded | string | number | null
const asEncoded = (part: Part): Encoded => (typeof part === 'object' && part !== null ? part : text(part))

/** Components of a field: empty ones at the end are left out. */
export const components = (...parts: readonly Part[]): Encoded => joined(parts, '^', /\^+$/)
/** Parts of a component. */
export const subcomponents = (...parts: readonly Part[]): Encoded => joined(parts, '&', /&+$/)
/** A field that is there several times; empty ones are left out. */
export const repetitions = (...fields: readonly Part[]): Encoded =>
  joined(
    fields.filter(field => asEncoded(field).hl7 !== ''),
    '~',
    /~+$/,
  )

/** @param fields from the first on, by number; what is not named is empty */
export function segment(name: string, fields: Readonly<Record<number, Part>>): string {
  const last = Math.max(0, ...Object.keys(fields).map(Number))
  const all = Array.from({ length: last }, (_, i) => asEncoded(fields[i + 1] ?? null).hl7)
  return `${name}|${all.join('|')}`.replace(/\|+$/, '')
}

/** MSH begins with the delimiters themselves. @param fields from the third on */
export function header(fields: Readonly<Record<number, Part>>): string {
  const shifted = Object.fromEntries(Object.entries(fields).map(([number, field]) => [Number(number) - 1, field]))
  return segment('MSH', { ...shifted, 1: encoded('^~\\&') })
}

/** Each segment ends with a carriage return. */
export const message = (segments: readonly string[]): string => segments.map(one => `${one}\r`).join('')

/** YYYYMMDDHHMMSS+0000. @param ms since the epoch */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace(/\D/g, '')}+0000`
