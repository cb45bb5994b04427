/** What the report says in words, and how values are written. All times are UTC and say so. */
import type { Prediction } from '../../schemas/topics.ts'

/** The label whose probability the score is: the positive one of a binary model, else the label that was given. */
export function scoredLabel({
  probabilities,
  score,
  label,
}: Pick<Prediction, 'probabilities' | 'score' | 'label'>): string {
  if (probabilities[label] === score) return label
  const found = Object.entries(probabilities).find(([, value]) => Math.abs(value - score) < 1e-9)
  return found?.[0] ?? label
}

/** Two numbers, both with as many decimals (3 to 6) as it takes to tell them apart. */
export function apart(a: number, b: number): [string, string] {
  for (let digits = 3; digits < 6; digits++) {
    const pair: [string, string] = [a.toFixed(digits), b.toFixed(digits)]
    if (a === b || pair[0] !== pair[1]) return pair
  }
  return [a.toFixed(6), b.toFixed(6)]
}

export function resultSentence(prediction: Prediction): string {
  const { threshold, score, label, probabilities, confidence } = prediction
  if (threshold === null)
    return `"${label}" is the most probable of ${Object.keys(probabilities).length} classes, with a probability of ${percent(confidence)}.`
  const [scored, limit] = apart(score, threshold)
  return `The score for "${scoredLabel(prediction)}" is ${scored}, ${score >= threshold ? 'at or above' : 'below'} the threshold of ${limit}.`
}

const flags: Readonly<Record<string, string>> = {
  'near-threshold': 'The score is near the threshold: read this result as uncertain.',
}

export const flagWords = (flag: string): string => flags[flag] ?? flag

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

/** `2025-11-21 08:06:09 UTC` */
export const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`

export const duration = (ms: number): string => (ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)

/** A DICOM date, YYYYMMDD, with its dashes (PS3.5 6.2, DA); anything else as it is. */
export const date = (text: string): string => text.replace(/^(\d{4})(\d{2})(\d{2})$/, '$1-$2-$3')

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
