/** The structured report, for the PACS: a Comprehensive 3D SR by TID 1500. */
import { ownVersion } from '../../../schemas/version.ts'
import { referencedOf } from '../dicom/common.ts'
import { type FormatContext, type StudyFormat, whole } from '../study/format.ts'

export function dicomSr({ threads }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-sr',
    contentType: 'application/dicom',
    async render(content, { signal }) {
      // Nothing to file it with.
      if (referencedOf(content.images).length === 0) return []
      return whole(await threads.draw('dicomSr', { content, version }, signal))
    },
  }
}
