/** Text on a page: measured, cut, wrapped and drawn in runs of fonts. Sizes and places are points from the top left. */
import { colour, type Doc } from '../../pdf-style.ts'
import { type FontName, fontOf, type Run, runsOf } from './fonts.ts'

export interface Style {
  size?: number
  bold?: boolean
  colour?: string
  /** Between two lines, points; by default 1.35 of the size. */
  leading?: number
}

/** No line or paragraph is longer: to measure a text takes time, and to lay out a very long one takes minutes. */
const mostCharacters = 2_000

export class Pen {
  readonly #doc: Doc
  readonly #registered = new Set<FontName>()
  /** Widths at a size of one point, by word: a report says the same words on each page. */
  readonly #widths = { regular: new Map<string, number>(), bold: new Map<string, number>() }

  constructor(doc: Doc) {
    this.#doc = doc
  }

  width(text: string, { size = 9, bold = false }: Style = {}): number {
    let width = 0
    for (const word of text.split(/( )/)) width += this.#wordWidth(word, bold ? 'bold' : 'regular')
    return width * size
  }

  /** One line, not wrapped. */
  line(text: string, x: number, y: number, style: Style = {}): void {
    this.#draw(this.#runs(text.slice(0, mostCharacters), style), x, y, style)
  }

  /** One line that ends at `right`. */
  lineTo(text: string, right: number, y: number, style: Style = {}): void {
    this.line(text, right - this.width(text, style), y, style)
  }

  /** One line, cut so that it fits. */
  fitted(text: string, x: number, y: number, width: number, style: Style = {}): void {
    this.line(this.cut(text, width, style), x, y, style)
  }

  cut(text: string, width: number, style: Style = {}): string {
    const kept = text.slice(0, mostCharacters)
    if (this.width(kept, style) <= width) return kept
    const characters = [...kept]
    let [low, high] = [0, characters.length]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.width(`${characters.slice(0, middle).join('')}…`, style) <= width) low = middle
      else high = middle - 1
    }
    return `${characters.slice(0, low).join('').trimEnd()}…`
  }

  /** @returns lines that fit the width; a word that does not is broken */
  wrapped(text: string, width: number, style: Style = {}): string[] {
    const lines: string[] = []
    let line = ''
    for (const word of text
      .slice(0, mostCharacters)
      .split(/[ \t\r\n]+/)
      .filter(Boolean)) {
      const longer = line === '' ? word : `${line} ${word}`
      if (this.width(longer, style) <= width) {
        line = longer
        continue
      }
      if (line !== '') lines.push(line)
      const pieces = this.#broken(word, width, style)
      lines.push(...pieces.slice(0, -1))
      line = pieces.at(-1) ?? ''
    }
    return line === '' ? lines : [...lines, line]
  }

  /** @returns the y below the last line */
  paragraph(text: string, x: number, y: number, width: number, style: Style & { most?: number } = {}): number {
    const all = this.wrapped(text, width, style)
    const { most = all.length } = style
    const shown =
      all.length <= most ? all : [...all.slice(0, most - 1), this.cut(all.slice(most - 1).join(' '), width, style)]
    const leading = leadingOf(style)
    for (const [i, line] of shown.entries()) this.line(line, x, y + i * leading, style)
    return y + shown.length * leading
  }

  heightOf(text: string, width: number, style: Style = {}): number {
    return this.wrapped(text, width, style).length * leadingOf(style)
  }

  #broken(word: string, width: number, style: Style): string[] {
    if (this.width(word, style) <= width) return [word]
    const pieces: string[] = []
    let piece = ''
    for (const character of word) {
      if (piece !== '' && this.width(piece + character, style) > width) {
        pieces.push(piece)
        piece = ''
      }
      piece += character
    }
    return [...pieces, piece]
  }

  #runs(text: string, { bold }: Style): Run[] {
    return runsOf(text, bold ? 'bold' : 'regular')
  }

  #use(name: FontName, size: number): Doc {
    if (!this.#registered.has(name)) {
      this.#doc.registerFont(name, fontOf(name).bytes)
      this.#registered.add(name)
    }
    return this.#doc.font(name).fontSize(size)
  }

  #wordWidth(word: string, font: 'regular' | 'bold'): number {
    const known = this.#widths[font].get(word)
    if (known !== undefined) return known
    let width = 0
    for (const run of runsOf(word, font)) width += this.#use(run.font, 1).widthOfString(run.text)
    this.#widths[font].set(word, width)
    return width
  }

  #draw(runs: readonly Run[], x: number, y: number, style: Style): void {
    const { size = 9, colour: ink = colour.ink } = style
    let at = x
    for (const { font, text } of runs) {
      const doc = this.#use(font, size).fillColor(ink)
      // Fonts have their own ascent: one line has one baseline.
      doc.text(text, at, y + size, { lineBreak: false, baseline: 'alphabetic' })
      at += doc.widthOfString(text)
    }
  }
}

export const leadingOf = ({ size = 9, leading }: Style): number => leading ?? size * 1.35
