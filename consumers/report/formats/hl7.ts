/** HL7 v2: what radiology information systems read. Framing and sending are the destination's. */
import { reportTypes } from '../../../schemas/report-types.ts'
import { type FormatContext, type StudyFormat, whole } from '../study/format.ts'
import { studyMessage } from './hl7/study-message.ts'

export const hl7 = ({ linkBase, attachPdf }: FormatContext): StudyFormat => ({
  name: 'hl7',
  contentType: reportTypes.hl7.contentType,
  async render(content, tools) {
    const [pdf] = attachPdf ? await tools.rendered('pdf-study') : []
    return whole(Buffer.from(studyMessage(content, { linkBase, pdf: pdf?.bytes ?? null })))
  },
})
