/** FHIR R4: a transaction that hospitals' servers take as it is. */
import { reportTypes } from '../../../schemas/report-types.ts'
import { type FormatContext, type StudyFormat, whole } from '../study/format.ts'
import { studyBundle } from './fhir/bundle.ts'

export const fhir = ({ systems, attachPdf }: FormatContext): StudyFormat => ({
  name: 'fhir',
  contentType: reportTypes.fhir.contentType,
  async render(content, tools) {
    const [pdf] = attachPdf ? await tools.rendered('pdf-study') : []
    const bundle = studyBundle(content, { systems, pdf: pdf?.bytes ?? null })
    return whole(Buffer.from(`${JSON.stringify(bundle)}\n`))
  },
})
