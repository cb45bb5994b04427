/**
 * The fonts of the report: embedded, as PDF/A asks for, in the subset that is used. Noto Sans has Latin, Greek and Cyrillic,
 * Noto Sans JP has kana and kanji; a text in several scripts is drawn in runs.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as fontkit from 'fontkit'

export type FontName = 'regular' | 'bold' | 'japanese'

interface Loaded {
  bytes: Buffer
  has: (codePoint: number) => boolean
}

const files = {
  regular: '@embedpdf/fonts-latin/fonts/NotoSans-Regular.ttf',
  bold: '@embedpdf/fonts-latin/fonts/NotoSans-Bold.ttf',
  japanese: '@embedpdf/fonts-jp/fonts/NotoSansJP-Regular.otf',
} as const

const loaded = new Map<FontName, Loaded>()

/** Read when it is first needed, once for a thread. */
export function fontOf(name: FontName): Loaded {
  const known = loaded.get(name)
  if (known) return known
  // The packages export their index alone: the fonts lie beside it.
  const [scope, pack, folder, file] = files[name].split('/')
  const index = fileURLToPath(import.meta.resolve(`${scope}/${pack}`))
  const bytes = withoutLayout(readFileSync(`${index.replace(/[/\\]dist[/\\][^/\\]+$/, '')}/${folder}/${file}`))
  const font = fontkit.create(bytes)
  if (!('hasGlyphForCodePoint' in font)) throw new Error(`${file} is a collection of fonts`)
  const made = { bytes, has: (codePoint: number) => font.hasGlyphForCodePoint(codePoint) }
  loaded.set(name, made)
  return made
}

const layoutTables = new Set(['GPOS', 'GSUB', 'GDEF', 'kern'])

/**
 * The font without its rules for kerning and shaping (OpenType, table directory): reading them is most of what a report
 * costs, since each document reads them anew. The scripts that are drawn do without.
 */
function withoutLayout(font: Buffer): Buffer {
  const records = Array.from({ length: font.readUInt16BE(4) }, (_, i) => font.subarray(12 + 16 * i, 28 + 16 * i))
  const kept = records.filter(record => !layoutTables.has(record.toString('latin1', 0, 4)))
  const directory = Buffer.concat([font.subarray(0, 12), ...kept])
  directory.writeUInt16BE(kept.length, 4)
  const bytes = Buffer.from(font)
  directory.copy(bytes)
  return bytes
}

export interface Run {
  font: FontName
  text: string
}

/** Those that need no shaping, from left to right. */
const scripts =
  /^[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Common}\p{Script=Inherited}]*$/u

const substitute = '?'

function fontFor(character: string, wanted: 'regular' | 'bold'): FontName | null {
  const codePoint = character.codePointAt(0) ?? 0
  if (!scripts.test(character)) return null
  if (fontOf(wanted).has(codePoint)) return wanted
  return fontOf('japanese').has(codePoint) ? 'japanese' : null
}

/** In what fonts a text is drawn. White space is a blank; a character that no font has is a question mark. */
export function runsOf(text: string, wanted: 'regular' | 'bold'): Run[] {
  const runs: Run[] = []
  for (const read of text.normalize('NFC').toWellFormed()) {
    const character = /[\s\p{Cc}\p{Cf}]/u.test(read) && read !== '\u00a0' ? ' ' : read
    const font = fontFor(character, wanted)
    const last = runs.at(-1)
    // A blank stays in the run that it is in.
    const to = character === ' ' && last ? last.font : (font ?? wanted)
    const drawn = font === null ? substitute : character
    if (last && last.font === to) last.text += drawn
    else runs.push({ font: to, text: drawn })
  }
  return runs
}

/** Whether a text can be drawn as it is written: a name with a wrong letter is another name. */
export const drawable = (text: string): boolean =>
  scripts.test(text) &&
  [...text.normalize('NFC')].every(character => character === ' ' || fontFor(character, 'regular') !== null)
