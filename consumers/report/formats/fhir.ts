/** FHIR R4: a transaction that hospitals' servers take as it is. */
import { type FormatContext, type StudyFormat, whole } from '../study/format.ts'
import { studyBundle } from './fhir/bundle.ts'

export const fhir = ({ systems, attachPdf }: FormatContext): StudyFormat => ({
  name: 'fhir',
  contentType: 'application/fhir+json',
  async render(content, tools) {
    const [pdf] = attachPdf ? await tools.rendered('pdf-study') : []
    const bundle = studyBundle(content, { systems, pdf: pdf?.bytes ?? null })
    return whole(Buffer.from(`${JSON.stringify(bundle)}\n`))
  },
})
