/** Person names: what a DICOM PN (PS3.5 6.2.1) says, by component. */

export interface NameParts {
  family: string
  given: string
  middle: string
  prefix: string
  suffix: string
}

export interface PersonForms {
  alphabetic: NameParts | null
  ideographic: NameParts | null
  phonetic: NameParts | null
}

function partsOf(form: string | undefined): NameParts | null {
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = (form ?? '')
    .normalize('NFC')
    .split('^')
    .map(part => part.trim())
  const parts = { family, given, middle, prefix, suffix }
  return Object.values(parts).some(part => part !== '') ? parts : null
}

/** @param text `Family^Given^Middle^Prefix^Suffix`, up to three forms between `=` */
export function personForms(text: string): PersonForms {
  const [alphabetic, ideographic, phonetic] = text.split('=')
  return { alphabetic: partsOf(alphabetic), ideographic: partsOf(ideographic), phonetic: partsOf(phonetic) }
}

/** `Family, Prefix Given Middle, Suffix` */
export function nameOnALine({ family, given, middle, prefix, suffix }: NameParts): string {
  const first = [prefix, given, middle].filter(part => part !== '').join(' ')
  return [family, first, suffix].filter(part => part !== '').join(', ')
}

/**
 * The forms that people read, without how they are said: `Yamada, Tarou (山田, 太郎)`; empty where there are none.
 * @param shows which forms can be shown where it goes
 */
export function readableName(text: string, shows: (form: string) => boolean = () => true): string {
  const { alphabetic, ideographic } = personForms(text)
  const forms = [alphabetic, ideographic].flatMap(parts => (parts ? [nameOnALine(parts)] : []))
  const [first = '', second] = forms.filter(shows)
  return second === undefined ? first : `${first} (${second})`
}
