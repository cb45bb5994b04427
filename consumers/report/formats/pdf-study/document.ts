/** The report for people, PDF/A-2b. Runs in a worker thread. */
import { openPdfFile } from '../../pdf-file.ts'
import { colour, type Doc, page } from '../../pdf-style.ts'
import type { StudyContent } from '../../study/format.ts'
import { speak } from '../../texts/texts.ts'
import type { Picture } from './cells.ts'
import { picturedFindings } from './choose.ts'
import { drawFindings } from './findings.ts'
import { Flow } from './flow.ts'
import { drawSummary, patientLine } from './summary.ts'
import { drawTail } from './tail.ts'

export interface StudyPages {
  content: StudyContent
  /** By `pictureKey`. */
  pictures: ReadonlyMap<string, Picture>
}

/** The bytes depend on the content and pictures alone: the times in the file are those of the assessment. */
export function renderStudy({ content, pictures }: StudyPages): Promise<Buffer> {
  const speech = speak(content.language)
  const { doc, bytes } = openPdfFile(
    {
      title: speech.say('title'),
      ...{ subject: content.assessed.id, made: new Date(content.madeAt), lang: content.language },
    },
    { bufferPages: true, pdfVersion: '1.7', subset: 'PDF/A-2b' },
  )
  const flow = new Flow(doc, speech, content)
  drawSummary(flow)
  drawFindings(flow, picturedFindings(content), pictures)
  drawTail(flow)
  drawEdges(doc, flow)
  doc.end()
  return bytes
}

/** Head and foot of every page: a page that is taken out of the others still says what it is of, and of whom. */
function drawEdges(doc: Doc, { pen, speech, content }: Flow): void {
  const { start, count } = doc.bufferedPageRange()
  const { assessed, researchUseOnly } = content
  const revision = `${assessed.study} · ${speech.say('report')} ${assessed.id}`
  const small = { size: 7, colour: colour.faint }
  const right = page.left + page.width
  const patient = patientLine(speech, content)
  for (let i = start; i < start + count; i++) {
    doc.switchToPage(i)
    if (i > start) {
      doc.rect(0, 0, page.fullWidth, 3).fill(colour.accent)
      pen.line(speech.say('title'), page.left, 28, { size: 9, bold: true, colour: colour.accent })
      if (patient) pen.fitted(patient, page.left, 42, page.width, small)
      if (researchUseOnly)
        pen.lineTo(speech.say('researchOnly'), right, 28, { size: 8, bold: true, colour: colour.caution })
    }
    doc.moveTo(page.left, 802).lineTo(right, 802).lineWidth(0.5).stroke(colour.line)
    pen.fitted(revision, page.left, 808, page.width - 130, small)
    pen.lineTo(speech.say('page', { page: i - start + 1, pages: count }), right, 808, small)
  }
}
