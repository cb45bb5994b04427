/** Masks for the PACS, where a model marks regions; otherwise none. */
import { ownVersion } from '../../../schemas/version.ts'
import { type Referenced, referencedOf } from '../dicom/common.ts'
import { markedOn } from '../dicom/segmentation/frames.ts'
import type { FormatContext, StudyFormat } from '../study/format.ts'

export function dicomSeg({ threads }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-seg',
    contentType: 'application/dicom',
    render(content, tools) {
      const groups = [...seriesAndSizes(referencedOf(content.images).filter(isMarked))]
      return Promise.all(
        groups.map(async ([part, of], i) => {
          const headers = await Promise.all(
            of.map(async ({ image }) => {
              const header = await tools.header(image)
              return [image.id, 'attributes' in header ? header.attributes : null] as const
            }),
          )
          const few = { ...content, images: of.map(({ image }) => image), earlier: [] }
          const task = { content: few, headers: Object.fromEntries(headers), part, ordinal: i + 1, version }
          return { part, bytes: await threads.draw('dicomSeg', task, tools.signal) }
        }),
      )
    },
  }
}

const isMarked = ({ image }: Referenced): boolean =>
  Boolean(image.instance?.rows && image.instance.columns) && markedOn(image).length > 0

/** A mask has one grid; images of a series mostly have one too. */
const seriesAndSizes = (images: readonly Referenced[]): Map<string, Referenced[]> =>
  Map.groupBy(images, ({ series, image: { instance } }) => `${series} ${instance?.rows}x${instance?.columns}`)
