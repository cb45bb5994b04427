/** PDF for people, several pages: summary, each finding with its images, and what stands behind it. */
import { reportTypes } from '../../../schemas/report-types.ts'
import { type FormatContext, type StudyFormat, whole } from '../study/format.ts'
import type { Picture } from './pdf-study/cells.ts'
import { pictureKey, picturesOf } from './pdf-study/choose.ts'

export const pdfStudy = ({ threads, previewPixels }: FormatContext): StudyFormat => ({
  name: 'pdf-study',
  contentType: reportTypes['pdf-study'].contentType,
  async render(content, tools) {
    // JPEG goes into the file as it is: a quarter of the bytes, and no work for the thread.
    const options = { size: previewPixels, format: 'jpeg', quality: 85 } as const
    const pictures = await Promise.all(
      picturesOf(content).map(
        async (one): Promise<[string, Picture]> => [
          pictureKey(one),
          await tools.preview(one.image, { ...options, frame: one.frame }),
        ],
      ),
    )
    return whole(await threads.draw('studyPages', { content, pictures: new Map(pictures) }, tools.signal))
  },
})
