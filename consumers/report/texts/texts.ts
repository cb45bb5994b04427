/**
 * What reports say, in the language of the settings. One file a language; a language that lacks a text does not
 * compile. What models and people said (labels, names) is never translated. All times are UTC and say so.
 */
import { en } from './en.ts'
import { es } from './es.ts'
import { fr } from './fr.ts'

/** By the grammatical number of `{count}`. */
type Counted = { readonly one: string; readonly other: string }
export type Texts = { readonly [K in keyof typeof en]: (typeof en)[K] extends string ? string : Counted }
export type TextKey = { [K in keyof Texts]: Texts[K] extends string ? K : never }[keyof Texts]
export type CountedKey = Exclude<keyof Texts, TextKey>
export const languageNames = ['en', 'fr', 'es'] as const
export type Language = (typeof languageNames)[number]
type Values = Readonly<Record<string, string | number>>

export const languages: { readonly [L in Language]: Texts } = { en, fr, es }

/** Day before month in words, so that no reader takes one for the other. */
const locales = { en: 'en-GB', fr: 'fr-FR', es: 'es-ES' } as const

export interface Speech {
  readonly language: Language
  /** `{name}` in the text becomes the value of that name. */
  say(key: TextKey, values?: Values): string
  /** The same, in the grammatical number of `count`. */
  count(key: CountedKey, count: number, values?: Values): string
  /** `a, b and c` */
  list(items: readonly string[]): string
  decimals(value: number, digits: number): string
  /** Two numbers, both with as many decimals (3 to 6) as it takes to tell them apart. */
  apart(a: number, b: number): [string, string]
  /** Of a share, 0..1, with one decimal. */
  percent(share: number): string
  /** @param ms since the epoch */
  time(ms: number): string
  /** The same with the month cut short, for where there is little room. @param ms since the epoch */
  shortTime(ms: number): string
  /** @param ms how long it took */
  duration(ms: number): string
  /** @param text YYYYMMDD (PS3.5 6.2, DA); anything else is given back as it is */
  date(text: string): string
}

const fill = (text: string, values: Values = {}): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))

const spoken = new Map<Language, Speech>()

export function speak(language: Language): Speech {
  const known = spoken.get(language)
  if (known) return known
  const speech = speechOf(language)
  spoken.set(language, speech)
  return speech
}

function speechOf(language: Language): Speech {
  const texts = languages[language]
  const locale = locales[language]
  const plural = new Intl.PluralRules(locale)
  const list = new Intl.ListFormat(locale, { type: 'conjunction' })
  const clock = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'medium', timeZone: 'UTC' })
  const short = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })
  const day = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' })
  const digits = Array.from(
    { length: 7 },
    (_, count) => new Intl.NumberFormat(locale, { minimumFractionDigits: count, maximumFractionDigits: count }),
  )
  const shares = new Intl.NumberFormat(locale, {
    ...{ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 },
  })
  const decimals = (value: number, count: number) => plain(digits[count]?.format(value) ?? String(value))
  return {
    language,
    say: (key, values) => fill(texts[key], values),
    count: (key, count, values) =>
      fill(texts[key][plural.select(count) === 'one' ? 'one' : 'other'], { count: decimals(count, 0), ...values }),
    list: items => list.format(items),
    decimals,
    apart(a, b) {
      for (let count = 3; count < 6; count++) {
        const pair: [string, string] = [decimals(a, count), decimals(b, count)]
        if (a === b || pair[0] !== pair[1]) return pair
      }
      return [decimals(a, 6), decimals(b, 6)]
    },
    percent: share => plain(shares.format(share)),
    shortTime: ms => `${plain(short.format(ms))} UTC`,
    duration: ms => (ms < 10_000 ? `${decimals(Math.round(ms), 0)} ms` : `${decimals(ms / 1_000, 1)} s`),
    time: ms => `${plain(clock.format(ms))} UTC`,
    date(text) {
      const [, year, month, date] = /^(\d{4})(\d{2})(\d{2})$/.exec(text) ?? []
      const at = Date.parse(`${year}-${month}-${date}`)
      return Number.isNaN(at) ? text : plain(day.format(at))
    },
  }
}

/** Narrow spaces, which not every font has, as the wide ones that do not break. */
const plain = (text: string): string => text.replaceAll('\u202f', '\u00a0')
