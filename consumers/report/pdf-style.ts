/** Sizes are points (1/72 inch), colours sRGB. Colour means attention, and never stands without words. */
import type PDFDocument from 'pdfkit'

/** With the size of a picture, which the types leave out. @throws Error for what is no PNG or JPEG */
export type Doc = InstanceType<typeof PDFDocument> & { openImage?(bytes: Buffer): { width: number; height: number } }

/** A4, with 18 mm to the left and right. */
export const page = { fullWidth: 595.28, left: 51, width: 493.28 } as const

/** Two of the fourteen fonts that every viewer has: nothing is embedded, so a report is small. */
export const font = { regular: 'Helvetica', bold: 'Helvetica-Bold' } as const

export const colour = {
  ink: '#16202a',
  faint: '#5c6773',
  line: '#d5dbe1',
  track: '#e6eaee',
  accent: '#0f5a78',
  other: '#9db4c0',
  caution: '#b26a00',
  cautionFill: '#fff6e5',
  darkroom: '#0d1216',
} as const

export interface Area {
  x: number
  y: number
  width: number
  height: number
}

/** Cuts a text so that it fits the width in the font that is set. */
export function fitted(doc: Doc, text: string, width: number): string {
  if (doc.widthOfString(text) <= width) return text
  let kept = text.length
  while (kept > 0 && doc.widthOfString(`${text.slice(0, kept)}…`) > width) kept -= 1
  return `${text.slice(0, kept)}…`
}

/** A heading over a thin line; gives the y below it. */
export function heading(doc: Doc, text: string, x: number, y: number, width: number): number {
  doc.font(font.bold).fontSize(9).fillColor(colour.faint)
  doc.text(text.toUpperCase(), x, y, { lineBreak: false, characterSpacing: 0.6 })
  doc
    .moveTo(x, y + 14)
    .lineTo(x + width, y + 14)
    .lineWidth(0.5)
    .stroke(colour.line)
  return y + 21
}
