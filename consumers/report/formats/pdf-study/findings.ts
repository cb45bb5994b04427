/** Each finding with its images, the regions that the model marked, the model, and what people said of it. */
import type { StudyFinding } from '../../../../schemas/topics.ts'
import { colour, page } from '../../pdf-style.ts'
import {
  findingSentences,
  findingTitle,
  flagWords,
  item,
  ruleWords,
  scoreSentence,
  verdictWords,
} from '../../texts/phrases.ts'
import { scoredLabel } from '../../words.ts'
import { type Pictured, type PicturedFinding, pictureKey } from './choose.ts'
import { type Flow, facts } from './flow.ts'

export type Picture = { png: Uint8Array } | { missing: string }

const gap = 16
const cell = { width: (page.width - gap) / 2, picture: 190, height: 264 } as const
const right = page.left + cell.width + gap

export function drawFindings(
  flow: Flow,
  findings: readonly PicturedFinding[],
  pictures: ReadonlyMap<string, Picture>,
): void {
  for (const one of findings) drawFinding(flow, one, pictures)
}

function drawFinding(
  flow: Flow,
  { finding, pictures: chosen, more }: PicturedFinding,
  pictures: ReadonlyMap<string, Picture>,
) {
  const { speech } = flow
  const [only, ...others] = chosen
  flow.heading(findingTitle(speech, finding), chosen.length > 0 ? cell.height + (others.length > 0 ? 70 : 0) : 70)
  if (only && others.length === 0) {
    const below = flow.y + cell.height
    drawCell(flow, only, finding, pictures.get(pictureKey(only)), { x: page.left, y: flow.y })
    const said = drawWords(flow, finding, chosen, { x: right, y: flow.y, width: cell.width })
    flow.y = Math.max(below, said)
  } else {
    flow.y = drawWords(flow, finding, chosen, { x: page.left, y: flow.y, width: page.width }) + 8
    for (let i = 0; i < chosen.length; i += 2) {
      flow.need(cell.height)
      for (const [column, one] of chosen.slice(i, i + 2).entries())
        drawCell(flow, one, finding, pictures.get(pictureKey(one)), { x: column === 0 ? page.left : right, y: flow.y })
      flow.y += cell.height
    }
  }
  if (more > 0) flow.paragraph(speech.count('imagesNotShown', more), { colour: colour.faint })
}

/** @returns the y below */
function drawWords(
  flow: Flow,
  finding: StudyFinding,
  chosen: readonly Pictured[],
  { x, y, width }: { x: number; y: number; width: number },
): number {
  let at = y
  for (const [i, sentence] of findingSentences(flow.speech, finding).slice(0, 12).entries())
    at = flow.pen.paragraph(sentence, x, at, width, { bold: i === 0, most: 4 }) + 2
  return facts(flow, modelRows(flow, finding, chosen), { x, y: at + 2, width })
}

function modelRows({ speech }: Flow, { model, rule }: StudyFinding, chosen: readonly Pictured[]) {
  const said = chosen.find(one => one.said)?.said?.prediction
  return [
    [speech.say('model'), model],
    [speech.say('weights'), said?.model.digest ?? null],
    [speech.say('analysed'), said ? speech.time(said.predictedAt) : null],
    [speech.say('rule'), ruleWords(speech, rule) ?? rule],
  ] as const
}

function drawCell(
  flow: Flow,
  pictured: Pictured,
  { label }: StudyFinding,
  picture: Picture | undefined,
  { x, y }: { x: number; y: number },
): void {
  const { pen, speech, content } = flow
  const { image, number, said, score } = pictured
  const shown = drawPicture(flow, pictured, picture, x, y)
  let at = y + cell.picture + 5
  const total = content.images.length
  pen.fitted(speech.say('image', { number, total }), x, at, cell.width, { size: 8.5, bold: true })
  at += 12
  const small = { size: 7.5, colour: colour.faint }
  pen.fitted(describe(flow, pictured, shown), x, at, cell.width, small)
  at += 11
  if (said) {
    const { prediction, verdict } = said
    const threshold = scoredLabel(prediction) === label ? prediction.threshold : null
    const sentence = score === null ? '' : scoreSentence(speech, score, threshold)
    const words =
      prediction.label === label
        ? `${label}. ${sentence}`
        : `${item(speech, 'answer', prediction.label)}. ${sentence && speech.say('item', { label, value: sentence })}`
    at = pen.paragraph(words, x, at, cell.width, { size: 8, most: 2 })
    for (const flag of prediction.quality.slice(0, 1))
      at = pen.paragraph(item(speech, 'quality', flagWords(speech, flag)), x, at, cell.width, {
        size: 8,
        most: 1,
        colour: colour.caution,
      })
    const spoken = verdictWords(speech, verdict)
    if (spoken !== null) at = pen.paragraph(spoken, x, at, cell.width, { size: 8, bold: true, most: 1 })
  }
  const uid = image.instance?.dicom?.sopInstance ?? image.id
  pen.fitted(uid, x, at, cell.width, { size: 6.5, colour: colour.faint })
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
  doc.rect(x, y, cell.width, cell.picture).fill(colour.darkroom)
  const placed = picture && 'png' in picture && place(flow, pictured, Buffer.from(picture.png), x, y)
  if (placed) return true
  const style = { size: 9, colour: '#ffffff' }
  pen.line(speech.say('noPicture'), x + 12, y + cell.picture / 2 - 14, { ...style, bold: true })
  if (picture && 'missing' in picture)
    pen.paragraph(picture.missing, x + 12, y + cell.picture / 2, cell.width - 24, { ...style, size: 8, most: 3 })
  return false
}

function place({ doc }: Flow, { image, regions }: Pictured, bytes: Buffer, x: number, y: number): boolean {
  try {
    const { width, height } = doc.openImage?.(bytes) ?? { width: 1, height: 1 }
    const scale = Math.min(cell.width / width, cell.picture / height)
    const area = { x: x + (cell.width - width * scale) / 2, y: y + (cell.picture - height * scale) / 2 }
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
