import { describe, expect, it } from 'vitest'
import { coversWords } from './phrases.ts'
import { type Language, languages, speak } from './texts.ts'

const all = Object.keys(languages) as Language[]
const forms = (text: string | { one: string; other: string }): string[] =>
  typeof text === 'string' ? [text] : [text.one, text.other]
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()

describe('the texts of reports', () => {
  it.each(all)('are all there in %s, with the placeholders of the English ones', language => {
    const texts: Record<string, string | { one: string; other: string }> = languages[language]
    expect(Object.keys(texts)).toEqual(Object.keys(languages.en))
    for (const [key, english] of Object.entries(languages.en)) {
      const said = forms(texts[key] ?? '')
      for (const [i, text] of said.entries()) {
        expect(text.trim(), key).not.toBe('')
        expect(placeholders(text), key).toEqual(placeholders(forms(english)[i] ?? ''))
      }
    }
  })

  it('are not left in English', () => {
    const same = (language: Language) =>
      Object.entries(languages.en).filter(
        ([key, text]) => JSON.stringify((languages[language] as Record<string, unknown>)[key]) === JSON.stringify(text),
      )
    // Words that are the same in both: "Patient", "Score", "Site" …
    expect(same('fr').map(([key]) => key)).toEqual([
      'patient',
      'site',
      'studyDescription',
      'score',
      'scoreAlone',
      'images',
      'pixels',
      'instance',
    ])
    expect(same('es').map(([key]) => key)).toEqual(['item'])
  })

  it('write numbers, dates and times as the language does, in any time zone', () => {
    const at = Date.UTC(2026, 10, 5, 8, 6, 9)
    const zone = process.env.TZ
    process.env.TZ = 'Pacific/Auckland'
    expect(all.map(language => speak(language).time(at))).toEqual([
      '5 November 2026 at 08:06:09 UTC',
      '5 novembre 2026 à 08:06:09 UTC',
      '5 de noviembre de 2026 a las 8:06:09 UTC',
    ])
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
    expect(all.map(language => speak(language).date('19700131'))).toEqual([
      '31 January 1970',
      '31 janvier 1970',
      '31 de enero de 1970',
    ])
    expect(speak('fr').date('1970')).toBe('1970')
    expect(all.map(language => speak(language).shortTime(at))).toEqual([
      '5 Nov 2026, 08:06:09 UTC',
      '5 nov. 2026, 08:06:09 UTC',
      '5 nov 2026, 8:06:09 UTC',
    ])
    expect(all.map(language => speak(language).duration(61_040))).toEqual(['61.0 s', '61,0 s', '61,0 s'])
    expect(speak('en').duration(731.4)).toBe('731 ms')
    expect(all.map(language => speak(language).decimals(1234.5, 2))).toEqual(['1,234.50', '1\u00a0234,50', '1234,50'])
  })

  it('tell numbers apart that differ, and count as the grammar asks', () => {
    expect(speak('fr').apart(0.36914, 0.36921)).toEqual(['0,3691', '0,3692'])
    expect(speak('en').apart(0.5, 0.5)).toEqual(['0.500', '0.500'])
    expect(coversWords(speak('en'), 1, 1)).toBe('1 image in 1 series')
    expect(coversWords(speak('fr'), 6, 1)).toBe('6 images dans 1 série')
    expect(coversWords(speak('es'), 1, 2)).toBe('1 imagen en 2 series')
    expect(speak('en').count('imagesCame', 2)).toBe('2 images came late')
    // French takes none for singular.
    expect(speak('fr').count('imagesCame', 0)).toBe('0 image est arrivée en retard')
    expect(speak('es').list(['a', 'b', 'c'])).toBe('a, b y c')
  })

  it('leave what a person wrote as it is, braces and all', () => {
    expect(speak('en').say('found', { list: '{list} $& {x}' })).toBe('Found: {list} $& {x}.')
  })
})
