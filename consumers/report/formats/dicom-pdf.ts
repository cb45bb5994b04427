/** The report for people, wrapped so that the PACS files it with the images. */
import { ownVersion } from '../../../schemas/version.ts'
import { referencedOf } from '../dicom/common.ts'
import type { FormatContext, StudyFormat } from '../study/format.ts'

/** The format that is wrapped; it need not be among those that are made. */
const source = 'pdf-study'

export function dicomPdf({ threads }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-pdf',
    contentType: 'application/dicom',
    async render(content, tools) {
      if (referencedOf(content.images).length === 0) return []
      const pdfs = await tools.rendered(source)
      return Promise.all(
        pdfs.map(async ({ part, bytes }) => ({
          part,
          bytes: await threads.draw('dicomPdf', { content, pdf: bytes, version }, tools.signal),
        })),
      )
    },
  }
}
