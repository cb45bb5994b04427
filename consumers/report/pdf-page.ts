/** One A4 page: the result and its image first, then where they come from. Runs in a worker thread. */

import type { ReportContent } from './format.ts'
import { drawDetails } from './pdf-details.ts'
import { openPdfFile } from './pdf-file.ts'
import { drawImage } from './pdf-image.ts'
import { drawResult } from './pdf-result.ts'
import { colour, type Doc, font, page } from './pdf-style.ts'
import { item } from './texts/phrases.ts'
import { type Speech, speak } from './texts/texts.ts'
import { printable } from './words.ts'

/** The bytes depend on the content alone: the times and the id in the file come from the prediction. */
export function renderPage(content: ReportContent): Promise<Buffer> {
  const { prediction, language } = content
  const speech = speak(language)
  const { doc, bytes } = openPdfFile({
    title: printable(item(speech, 'resultTitle', prediction.label)),
    ...{ subject: prediction.id, made: new Date(prediction.predictedAt), lang: language },
  })
  drawHeader(doc, speech, content)
  const top = content.researchUseOnly ? drawResearch(doc, speech) + 22 : 100
  drawImage(doc, content, { x: page.left, y: top, width: 256, height: 278 })
  drawResult(doc, content, { x: page.left + 280, y: top, width: page.width - 280, height: 278 })
  drawDetails(doc, content, { x: page.left, y: top + 306, width: page.width })
  drawFooter(doc, speech, content)
  doc.end()
  return bytes
}

function drawHeader(doc: Doc, speech: Speech, { prediction: { modality, site, predictedAt } }: ReportContent): void {
  doc.rect(0, 0, page.fullWidth, 6).fill(colour.accent)
  doc.font(font.bold).fontSize(20).fillColor(colour.ink)
  doc.text(printable(speech.say('resultTitle')), page.left, 36, { lineBreak: false })
  doc.font(font.regular).fontSize(9).fillColor(colour.faint)
  const where = [modality, site, speech.time(predictedAt)].filter(Boolean).join(' · ')
  doc.text(printable(where), page.left, 62, { lineBreak: false })
  doc.font(font.bold).fontSize(11).fillColor(colour.accent)
  doc.text('RAYLOG', page.left, 42, { width: page.width, align: 'right', characterSpacing: 2 })
}

/** What it may be used for, in a box that stands out. @returns the y below it */
function drawResearch(doc: Doc, speech: Speech): number {
  const note = printable(speech.say('researchNote'))
  const width = page.width - 28
  const top = 88
  const height = 29 + doc.font(font.regular).fontSize(9).heightOfString(note, { width })
  doc.roundedRect(page.left, top, page.width, height, 3).fillAndStroke(colour.cautionFill, colour.caution)
  doc.font(font.bold).fontSize(11).fillColor(colour.ink)
  doc.text(printable(speech.say('researchOnly')), page.left + 14, top + 7)
  doc.font(font.regular).fontSize(9)
  doc.text(note, page.left + 14, top + 22, { width })
  return top + height
}

function drawFooter(doc: Doc, speech: Speech, { prediction, researchUseOnly }: ReportContent): void {
  doc
    .moveTo(page.left, 800)
    .lineTo(page.left + page.width, 800)
    .lineWidth(0.5)
    .stroke(colour.line)
  doc.font(font.regular).fontSize(7.5).fillColor(colour.faint)
  doc.text(`${printable(speech.say('prediction'))} ${prediction.id}`, page.left, 808, { lineBreak: false })
  const right = [researchUseOnly && speech.say('researchOnly'), speech.say('page', { page: 1, pages: 1 })]
  doc.text(printable(right.filter(Boolean).join(' · ')), page.left, 808, { width: page.width, align: 'right' })
}
