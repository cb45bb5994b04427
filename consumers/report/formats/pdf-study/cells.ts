/** A picture of a finding with what is said of it: the image, its answer, all that makes the answer doubtful, people's words. */
import { scoredLabel } from '../../../../schemas/prediction.ts'
import type { StudyFinding } from '../../../../schemas/topics.ts'
import { colour, page } from '../../pdf-style.ts'
import { flagWords, item, named, scoreSentence, verdictWords } from '../../texts/phrases.ts'
import { type Pictured, pictureKey } from './choose.ts'
import type { Flow } from './flow.ts'
import { leadingOf, type Style } from './pen.ts'

export type Picture = { png: Uint8Array } | { missing: string }

/** A line of text, in its style and wrapped to so many lines. */
interface Line {
  text: string
  style: Style & { most: number }
}

export interface Cell {
  pictured: Pictured
  lines: Line[]
  /** Of picture, words and the space below, points. */
  height: number
}

/** Two beside one another, with 16 points between them. */
export const cellWidth = (page.width - 16) / 2
const pictureHeight = 190
const captionHeight = 5 + 12 + 11
const below = 12
/** Quality flags of an answer: more are counted. */
const mostFlags = 8

export function cellOf(flow: Flow, pictured: Pictured, finding: Pick<StudyFinding, 'label'>): Cell {
  const lines = linesOf(flow, pictured, finding)
  const words = lines.reduce((sum, line) => sum + heightOf(flow, line), 0)
  return { pictured, lines, height: pictureHeight + captionHeight + words + below }
}

function heightOf({ pen }: Flow, { text, style }: Line): number {
  return Math.min(pen.wrapped(text, cellWidth, style).length, style.most) * leadingOf(style)
}

function linesOf({ speech }: Flow, { image, said, score }: Pictured, { label }: Pick<StudyFinding, 'label'>): Line[] {
  const uid = image.instance?.dicom?.sopInstance ?? image.id
  const last: Line = { text: uid, style: { size: 6.5, colour: colour.faint, most: 1 } }
  if (!said) return [last]
  const { prediction, verdict } = said
  const threshold = scoredLabel(prediction) === label ? prediction.threshold : null
  const sentence = score === null ? '' : scoreSentence(speech, score, threshold)
  const answer =
    prediction.label === label
      ? `${label}. ${sentence}`
      : `${item(speech, 'answer', prediction.label)}. ${sentence && speech.say('item', { label, value: sentence })}`
  const flags = prediction.quality.map(flag => item(speech, 'quality', flagWords(speech, flag)))
  const spoken = verdictWords(speech, verdict)
  return [
    { text: answer, style: { size: 8, most: 2 } },
    ...named(speech, flags, mostFlags).map(text => ({ text, style: { size: 8, most: 2, colour: colour.caution } })),
    ...(spoken === null ? [] : [{ text: spoken, style: { size: 8, bold: true, most: 2 } }]),
    last,
  ]
}

export function drawCell(
  flow: Flow,
  { pictured, lines }: Cell,
  pictures: ReadonlyMap<string, Picture>,
  { x, y }: { x: number; y: number },
): void {
  const { pen, speech, content } = flow
  const shown = drawPicture(flow, pictured, pictures.get(pictureKey(pictured)), x, y)
  const { number } = pictured
  let at = y + pictureHeight + 5
  pen.fitted(speech.say('image', { number, total: content.images.length }), x, at, cellWidth, { size: 8.5, bold: true })
  at += 12
  pen.fitted(describe(flow, pictured, shown), x, at, cellWidth, { size: 7.5, colour: colour.faint })
  at += 11
  for (const { text, style } of lines) at = pen.paragraph(text, x, at, cellWidth, style)
}

function describe({ speech }: Flow, { image: { instance }, regions, frame }: Pictured, shown: boolean): string {
  return [
    [instance?.view, instance?.laterality].filter(Boolean).join(' '),
    instance?.rows && instance.columns ? speech.say('pixels', { columns: instance.columns, rows: instance.rows }) : '',
    instance && instance.frames > 1 ? speech.say('frameOf', { frame, frames: instance.frames }) : '',
    shown && regions.length > 0 ? speech.count('outlined', regions.length) : '',
  ]
    .filter(Boolean)
    .join(' · ')
}

/** Whole, in its own proportions. @returns whether it could be drawn: a picture that is damaged must not cost the report */
function drawPicture(flow: Flow, pictured: Pictured, picture: Picture | undefined, x: number, y: number): boolean {
  const { doc, pen, speech } = flow
  doc.rect(x, y, cellWidth, pictureHeight).fill(colour.darkroom)
  const placed = picture && 'png' in picture && place(flow, pictured, Buffer.from(picture.png), x, y)
  if (placed) return true
  const style = { size: 9, colour: '#ffffff' }
  pen.line(speech.say('noPicture'), x + 12, y + pictureHeight / 2 - 14, { ...style, bold: true })
  if (picture && 'missing' in picture)
    pen.paragraph(picture.missing, x + 12, y + pictureHeight / 2, cellWidth - 24, { ...style, size: 8, most: 3 })
  return false
}

function place({ doc }: Flow, { image, regions }: Pictured, bytes: Buffer, x: number, y: number): boolean {
  try {
    const { width, height } = doc.openImage?.(bytes) ?? { width: 1, height: 1 }
    const scale = Math.min(cellWidth / width, pictureHeight / height)
    const area = { x: x + (cellWidth - width * scale) / 2, y: y + (pictureHeight - height * scale) / 2 }
    doc.image(bytes, area.x, area.y, { width: width * scale, height: height * scale })
    const { rows, columns } = image.instance ?? {}
    if (!rows || !columns) return true
    const [toX, toY] = [(width * scale) / columns, (height * scale) / rows]
    doc
      .save()
      .rect(area.x, area.y, width * scale, height * scale)
      .clip()
      .lineWidth(1)
    for (const { points } of regions) {
      if (points.length < 6 || !points.every(Number.isFinite)) continue
      const corners = Array.from({ length: points.length >> 1 }, (_, i): [number, number] => [
        area.x + (points[2 * i] ?? 0) * toX,
        area.y + (points[2 * i + 1] ?? 0) * toY,
      ])
      doc.polygon(...corners).stroke('#ffc24b')
    }
    doc.restore()
    return true
  } catch {
    // What pdfkit throws of a damaged picture may be a text; the picture is left out and its place says so.
    return false
  }
}
