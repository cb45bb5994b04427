/** Fields that all our messages have alike. */
import { type NameParts, personForms } from '../schemas/person-name.ts'
import { components, type Encoded, repetitions } from './message.ts'

/** MSH-10 and order numbers are 20 characters at most; ids are a prefix and 32. */
export const short = (id: string): string => id.slice(id.indexOf('_') + 1).slice(0, 20)

/** PID-3. Table 0203: ANON is an identifier that tells nobody who it is. */
export const anonymousId = (pseudonym: string): Encoded => components(pseudonym, null, null, 'RAYLOG', 'ANON')

/**
 * PID-5: one XPN for each form of the name, with its representation (table 0465).
 *
 * @param text as DICOM has it (PN), where the prefix stands before the suffix
 */
export function names(text: string): Encoded {
  const { alphabetic, ideographic, phonetic } = personForms(text)
  const xpn = (parts: NameParts | null, representation: string) =>
    parts === null
      ? null
      : components(parts.family, parts.given, parts.middle, parts.suffix, parts.prefix, null, 'L', representation)
  return repetitions(xpn(alphabetic, 'A'), xpn(ideographic, 'I'), xpn(phonetic, 'P'))
}
