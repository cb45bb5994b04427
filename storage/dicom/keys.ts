/** Attribute matching of queries (PS3.4 C.2.2.2; PS3.18 8.3.4.1 says the same of QIDO-RS). */
import { type IndexedAttribute, indexedAttribute } from '../../schemas/dicom-index.ts'
import { type DicomValue, isPersonName } from '../../schemas/dicom-json.ts'
import { RaylogError } from '../../schemas/errors.ts'

/** One key of a query that narrows it. */
export interface MatchKey {
  readonly attribute: IndexedAttribute
  /** As it was asked for, without padding. */
  readonly text: string
  /** Values of which one must be there, where neither a wild card nor a range is asked for. */
  readonly values: readonly string[] | undefined
  /** The two ends of a range of dates or times, each as it was given; undefined: open. */
  readonly range: readonly [string | undefined, string | undefined] | undefined
  /** Whether one value of an element fits. */
  matches(value: DicomValue): boolean
}

const wildVrs = new Set(['AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UR', 'UT'])
const listVrs = new Set(['UI', 'CS', 'IS', 'DS', 'US'])
const rangeVrs = new Set(['DA', 'TM', 'DT'])
const maxLength = 10_240

/**
 * @param name tag or keyword
 * @returns the key; undefined where everything matches (universal matching, C.2.2.2.3), 'unsupported' where the index does
 *   not hold the attribute, or only counts it
 * @throws RaylogError bad-request for a value that is none of its VR
 */
export function matchKey(name: string, value: string): MatchKey | undefined | 'unsupported' {
  const attribute = indexedAttribute(name)
  if (attribute === undefined) return 'unsupported'
  if (value.length > maxLength) throw new RaylogError('bad-request', `${attribute.keyword}: the value is too long`)
  const text = value.replaceAll('\0', '').trim()
  if (/^\**$/.test(text)) return undefined
  if (!attribute.matched) return 'unsupported'
  const { vr } = attribute
  if (rangeVrs.has(vr)) return rangeKey(attribute, text)
  if (wildVrs.has(vr) && /[*?]/.test(text)) {
    const isName = vr === 'PN'
    const parts = (isName ? lowered(text) : text).split(/\*+/)
    const textsOf = isName ? groupsOf : (value: DicomValue) => [unpadded(String(value ?? ''))]
    return key(attribute, text, undefined, undefined, each => textsOf(each).some(value => fits(value, parts)))
  }
  const values = (listVrs.has(vr) ? text.split('\\') : [text]).map(each => each.trim()).filter(each => each !== '')
  if (['IS', 'DS', 'US'].includes(vr)) {
    const numbers = new Set(values.map(Number))
    if ([...numbers].some(Number.isNaN)) throw new RaylogError('bad-request', `${attribute.keyword}: not a number`)
    return key(attribute, text, values, undefined, each => typeof each === 'number' && numbers.has(each))
  }
  if (vr === 'PN') {
    const wanted = foldName(text)
    return key(attribute, text, values, undefined, each => groupsOf(each).some(group => withoutEmpty(group) === wanted))
  }
  const wanted = new Set(values)
  return key(attribute, text, values, undefined, each => wanted.has(String(each ?? '')))
}

const key = (
  attribute: IndexedAttribute,
  text: string,
  values: MatchKey['values'],
  range: MatchKey['range'],
  matches: MatchKey['matches'],
): MatchKey => ({ attribute, text, values, range, matches })

/** Names match whatever their case (C.2.2.2.1 allows it), and without the delimiters of empty components at their end. */
export const foldName = (text: string): string => withoutEmpty(lowered(text))

const lowered = (text: string): string => text.normalize('NFC').toLowerCase()
const unpadded = (text: string): string => text.replace(/ +$/, '')
const withoutEmpty = (text: string): string => text.replace(/[\^= ]+$/, '')

/** By the name's object, which is held as long as the index holds the study: thousands of names are searched again and again. */
const knownGroups = new WeakMap<object, readonly string[]>()

/** A name as a whole, and each of its component groups, in lower case: what is typed is one of them. */
function groupsOf(value: DicomValue): readonly string[] {
  if (value === null || typeof value !== 'object') return [unpadded(lowered(String(value ?? '')))]
  const known = knownGroups.get(value)
  if (known !== undefined) return known
  if (!isPersonName(value)) return []
  const groups = [value.Alphabetic ?? '', value.Ideographic ?? '', value.Phonetic ?? '']
  const made = [...groups.filter(group => group !== ''), groups.join('=')].map(group => unpadded(lowered(group)))
  knownGroups.set(value, made)
  return made
}

/**
 * Whether the text is the parts in their order, with anything between them, where `?` is one character: a wild card that is
 * split at its stars. Matched greedily without nesting, so that no pattern takes long: what was matched is never looked at
 * again, and the steps are at most the length of the text times that of the longest part.
 * @param text a string, or what answers for its characters
 */
export function fits(text: ArrayLike<string>, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts
  const last = rest.pop()
  if (last === undefined) return text.length === first.length && at(text, first, 0)
  if (text.length < first.length + last.length || !at(text, first, 0) || !at(text, last, text.length - last.length))
    return false
  const end = text.length - last.length
  let from = first.length
  for (const part of rest) {
    while (from + part.length <= end && !at(text, part, from)) from++
    if (from + part.length > end) return false
    from += part.length
  }
  return true
}

function at(text: ArrayLike<string>, part: string, from: number): boolean {
  for (let i = 0; i < part.length; i++) if (part[i] !== '?' && part[i] !== text[from + i]) return false
  return true
}

/** Range matching (C.2.2.2.5), and single values, which are ranges where they are not precise to the last digit. */
function rangeKey(attribute: IndexedAttribute, text: string): MatchKey {
  const { vr, keyword } = attribute
  // A DT may end in an offset of hours and minutes: a minus before four digits at the end is no range.
  const single = vr === 'DT' ? /^\d{4,14}(\.\d{1,6})?([+-]\d{4})?$/.test(text) : !text.includes('-')
  const split = single ? -1 : text.indexOf('-')
  const [from, to] = split < 0 ? [text, text] : [text.slice(0, split).trim(), text.slice(split + 1).trim()]
  for (const bound of [from, to]) {
    if (bound !== '' && !validBound(vr, bound))
      throw new RaylogError('bad-request', `${keyword}: not a ${vr} or a range`)
  }
  if (from === '' && to === '') throw new RaylogError('bad-request', `${keyword}: a range without ends`)
  const low = from === '' ? '' : digits(from)
  const high = to === '' ? undefined : digits(to)
  const matches = (value: DicomValue): boolean => {
    if (typeof value !== 'string') return false
    const given = digits(value)
    // As many digits as the upper end has: 10 is up to the end of that hour, 1030 of that minute.
    return given >= low && (high === undefined || given.slice(0, high.length) <= high)
  }
  return key(attribute, text, undefined, [from === '' ? undefined : from, to === '' ? undefined : to], matches)
}

function validBound(vr: string, text: string): boolean {
  if (vr === 'DA') return /^\d{4}\.?\d{2}\.?\d{2}$/.test(text)
  if (vr === 'TM') return /^\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?$/.test(text)
  return /^\d{4,14}(\.\d{1,6})?([+-]\d{4})?$/.test(text)
}

/** Without what stands between the digits; an offset from UTC is not taken into account. */
const digits = (text: string): string => text.replace(/[+-]\d{4}$/, '').replaceAll(/[.:]/g, '')
