/** Blocks below one another over as many pages as it takes, each page with its head and foot. */

import { colour, type Doc, page } from '../../pdf-style.ts'
import type { StudyContent } from '../../study/format.ts'
import type { Speech } from '../../texts/texts.ts'
import { Pen } from './pen.ts'

const top = 64
export const bottom = 786

export class Flow {
  readonly doc: Doc
  readonly pen: Pen
  readonly speech: Speech
  readonly content: StudyContent
  /** Where the next block begins. */
  y = top

  constructor(doc: Doc, speech: Speech, content: StudyContent) {
    this.doc = doc
    this.pen = new Pen(doc)
    this.speech = speech
    this.content = content
  }

  /** Goes to the next page where less than this is left. A block higher than a page begins on one of its own. */
  need(height: number): void {
    if (this.y + height > bottom && this.y > top) this.nextPage()
  }

  nextPage(): void {
    this.doc.addPage()
    this.y = top
  }

  /** @param height of what must stand with it on a page, points */
  heading(text: string, height = 40): void {
    this.need(height + 34)
    if (this.y > top) this.y += 14
    const { doc, pen } = this
    const style = { size: 12, bold: true, colour: colour.accent }
    // A label may be anything: what does not fit on the line is not drawn beyond the page, nor in the outline.
    const shown = pen.cut(text, page.width, style)
    doc.outline.addItem(shown)
    pen.line(shown, page.left, this.y, style)
    doc
      .moveTo(page.left, this.y + 18)
      .lineTo(page.left + page.width, this.y + 18)
      .lineWidth(0.5)
      .stroke(colour.line)
    this.y += 26
  }

  paragraph(text: string, style: Parameters<Pen['paragraph']>[4] = {}): void {
    this.need(this.pen.heightOf(text, page.width, style))
    this.y = this.pen.paragraph(text, page.left, this.y, page.width, style) + 2
  }

  /** Lines with a dash before each. */
  list(lines: readonly string[]): void {
    for (const line of lines) {
      this.need(this.pen.heightOf(line, page.width - 12))
      this.pen.line('–', page.left, this.y, { colour: colour.faint })
      this.y = this.pen.paragraph(line, page.left + 12, this.y, page.width - 12) + 1
    }
  }
}

/** A bar of a score, with its threshold: the label and number beside it say the same in words. */
export function scoreBar(doc: Doc, x: number, y: number, width: number, score: number, threshold: number | null): void {
  const within = (share: number): number => (share > 0 ? Math.min(1, share) : 0)
  doc.rect(x, y, width, 6).fill(colour.track)
  if (within(score) > 0) doc.rect(x, y, width * within(score), 6).fill(colour.accent)
  if (threshold === null) return
  const at = x + width * within(threshold)
  doc
    .moveTo(at, y - 2)
    .lineTo(at, y + 8)
    .lineWidth(1.2)
    .stroke(colour.ink)
}

/** Rows of a label and a value in a column. Those without a value are left out. @returns the y below the last */
export function facts(
  { pen }: Pick<Flow, 'pen'>,
  rows: readonly (readonly [label: string, value: string | null])[],
  area: { x: number; y: number; width: number; labels?: number },
): number {
  const told = rows.filter(([, value]) => value !== null && value !== '')
  const labels =
    area.labels ?? Math.min(130, Math.max(70, ...told.map(([label]) => pen.width(label, { size: 8 }) + 12)))
  let at = area.y
  for (const [label, value] of told) {
    pen.fitted(label, area.x, at, labels - 6, { size: 8, colour: colour.faint })
    at = pen.paragraph(value ?? '', area.x + labels, at, area.width - labels, { size: 8, most: 3 }) + 2
  }
  return at
}
