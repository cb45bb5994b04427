/** What the page of a prediction can say: texts that its fonts have. */

/** Beyond Latin-1, what the standard fonts of PDF have (WinAnsiEncoding, ISO 32000-1 annex D). */
const winAnsi = /^[\x20-\x7e\u00a0-\u00ff€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]*$/u

/** No line of the report holds more characters, and to measure a text takes time. */
const mostCharacters = 300

/** Text that the standard fonts can show; what they cannot becomes a question mark. */
export const printable = (text: string): string =>
  [...text.slice(0, mostCharacters).normalize('NFC')]
    .map(character => (winAnsi.test(character) ? character : '?'))
    .join('')

/**
 * A person name (PS3.5 6.2, PN) as `Family, Given Middle`: the first of its alphabetic, ideographic and phonetic forms
 * that can be printed whole. Undefined where none can: a name with a wrong letter is another name.
 */
export function personName(text: string): string | undefined {
  for (const form of text.normalize('NFC').split('=')) {
    const [family = '', given = '', middle = '', prefix = '', suffix = ''] = form.split('^').map(part => part.trim())
    const first = [prefix, given, middle].filter(part => part !== '').join(' ')
    const whole = [family, first, suffix].filter(part => part !== '').join(', ')
    if (whole !== '' && winAnsi.test(whole)) return whole
  }
  return undefined
}
