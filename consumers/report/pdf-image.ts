/** The image in its frame: whole, in its own proportions, with the regions that the model marked. */
import { frameLookedAt } from '../../schemas/prediction.ts'
import type { Prediction } from '../../schemas/topics.ts'
import type { ReportContent } from './format.ts'
import { type Area, colour, type Doc, fitted, font } from './pdf-style.ts'
import { type Speech, speak } from './texts/texts.ts'
import { printable } from './words.ts'

const captionHeight = 22

export function drawImage(doc: Doc, content: ReportContent, { x, y, width, height }: Area): void {
  const speech = speak(content.language)
  const frame = { x, y, width, height: height - captionHeight }
  doc.rect(frame.x, frame.y, frame.width, frame.height).fill(colour.darkroom)
  const shown = 'png' in content.preview && placePicture(doc, content, Buffer.from(content.preview.png), frame)
  if (!shown) {
    const reason = 'missing' in content.preview ? content.preview.missing : speech.say('pictureDamaged')
    drawNotice(doc, { title: speech.say('noPicture'), reason }, frame)
  }
  doc.font(font.regular).fontSize(7.5).fillColor(colour.faint)
  doc.text(fitted(doc, printable(caption(speech, content, shown)), width), x, y + height - captionHeight + 6, {
    lineBreak: false,
  })
}

/** Width and height of a PNG (its first chunk is IHDR); undefined for what is none. */
function pngSize(png: Buffer): { width: number; height: number } | undefined {
  if (png.length < 24 || png.toString('latin1', 12, 16) !== 'IHDR') return undefined
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20) }
}

/** Whether it could be drawn: a preview that cannot be read must not cost the report. */
function placePicture(doc: Doc, content: ReportContent, png: Buffer, frame: Area): boolean {
  const size = pngSize(png)
  if (!size) return false
  const scale = Math.min(frame.width / size.width, frame.height / size.height)
  const [width, height] = [size.width * scale, size.height * scale]
  const area = { x: frame.x + (frame.width - width) / 2, y: frame.y + (frame.height - height) / 2, width, height }
  try {
    doc.image(png, area.x, area.y, { width, height })
  } catch (thrown) {
    if (thrown instanceof Error) return false
    throw thrown
  }
  drawRegions(doc, content, area)
  return true
}

/** Of the frame that is shown, as far as they can be drawn. */
function regionsOf({ prediction, image }: ReportContent): Prediction['regions'] {
  if (!image?.rows || !image.columns) return []
  const looked = frameLookedAt(image.frames)
  return prediction.regions.filter(
    ({ frame, points }) => frame === looked && points.length >= 6 && points.every(Number.isFinite),
  )
}

function drawRegions(doc: Doc, content: ReportContent, { x, y, width, height }: Area): void {
  const { image } = content
  if (!image?.rows || !image.columns) return
  const [toX, toY] = [width / image.columns, height / image.rows]
  doc.save().rect(x, y, width, height).clip().lineWidth(1)
  for (const { points } of regionsOf(content)) {
    const corners = Array.from({ length: points.length >> 1 }, (_, i): [number, number] => [
      x + (points[2 * i] ?? 0) * toX,
      y + (points[2 * i + 1] ?? 0) * toY,
    ])
    doc.polygon(...corners).stroke('#ffc24b')
  }
  doc.restore()
}

function drawNotice(doc: Doc, { title, reason }: { title: string; reason: string }, frame: Area): void {
  const middle = frame.y + frame.height / 2
  doc.font(font.bold).fontSize(11).fillColor('#ffffff')
  doc.text(printable(title), frame.x + 20, middle - 22, { width: frame.width - 40, align: 'center' })
  doc.font(font.regular).fontSize(9).fillColor('#c3ccd4')
  doc.text(printable(reason), frame.x + 20, middle - 4, {
    width: frame.width - 40,
    height: frame.height / 2 - 10,
    align: 'center',
    ellipsis: true,
  })
}

function caption(speech: Speech, content: ReportContent, shown: boolean): string {
  const { rows, columns, frames = 1 } = content.image ?? {}
  const regions = regionsOf(content).length
  return [
    shown && speech.say('wholeImage'),
    rows && columns && speech.say('pixels', { columns, rows }),
    frames > 1 && speech.say('frameOf', { frame: frameLookedAt(frames), frames }),
    shown && regions > 0 && speech.count('outlined', regions),
  ]
    .filter(Boolean)
    .join(' · ')
}
