/** One A4 page: the result and its image first, then where they come from. Runs in a worker thread. */

import type { ReportContent } from './format.ts'
import { drawDetails } from './pdf-details.ts'
import { openPdfFile } from './pdf-file.ts'
import { drawImage } from './pdf-image.ts'
import { drawResult } from './pdf-result.ts'
import { colour, type Doc, font, page } from './pdf-style.ts'
import { printable, time } from './words.ts'

/** The bytes depend on the content alone: the times and the id in the file come from the prediction. */
export function renderPage(content: ReportContent): Promise<Buffer> {
  const { prediction } = content
  const { doc, bytes } = openPdfFile({
    title: printable(`Imaging AI result: ${prediction.label}`),
    ...{ subject: prediction.id, made: new Date(prediction.predictedAt), lang: 'en' },
  })
  drawHeader(doc, content)
  const top = content.researchUseOnly ? 150 : 100
  drawImage(doc, content, { x: page.left, y: top, width: 256, height: 278 })
  drawResult(doc, content, { x: page.left + 280, y: top, width: page.width - 280, height: 278 })
  drawDetails(doc, content, { x: page.left, y: top + 306, width: page.width })
  drawFooter(doc, content)
  doc.end()
  return bytes
}

const notForCare =
  'Not a medical device. Made by a research model: not for diagnosis, treatment or any other decision about a patient.'

function drawHeader(doc: Doc, { prediction, researchUseOnly }: ReportContent): void {
  doc.rect(0, 0, page.fullWidth, 6).fill(colour.accent)
  doc.font(font.bold).fontSize(20).fillColor(colour.ink)
  doc.text('Imaging AI result', page.left, 36, { lineBreak: false })
  doc.font(font.regular).fontSize(9).fillColor(colour.faint)
  doc.text(
    printable(`${prediction.modality ?? 'Image'}, site ${prediction.site}, analysed ${time(prediction.predictedAt)}`),
    page.left,
    62,
    { lineBreak: false },
  )
  doc.font(font.bold).fontSize(11).fillColor(colour.accent)
  doc.text('RAYLOG', page.left, 42, { width: page.width, align: 'right', characterSpacing: 2 })
  if (!researchUseOnly) return
  doc.roundedRect(page.left, 88, page.width, 40, 3).fillAndStroke(colour.cautionFill, colour.caution)
  doc
    .font(font.bold)
    .fontSize(11)
    .fillColor(colour.ink)
    .text('RESEARCH USE ONLY', page.left + 14, 95)
  doc
    .font(font.regular)
    .fontSize(9)
    .text(notForCare, page.left + 14, 110, { lineBreak: false })
}

function drawFooter(doc: Doc, { prediction, researchUseOnly }: ReportContent): void {
  doc
    .moveTo(page.left, 800)
    .lineTo(page.left + page.width, 800)
    .lineWidth(0.5)
    .stroke(colour.line)
  doc.font(font.regular).fontSize(7.5).fillColor(colour.faint)
  doc.text(`Prediction ${prediction.id}`, page.left, 808, { lineBreak: false })
  doc.text(researchUseOnly ? 'Research use only. Page 1 of 1' : 'Page 1 of 1', page.left, 808, {
    width: page.width,
    align: 'right',
  })
}
