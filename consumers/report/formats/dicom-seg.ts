/** Masks for the PACS, where a model marks regions; otherwise none. */
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { ownVersion } from '../../../schemas/version.ts'
import { type Referenced, referencedOf } from '../dicom/common.ts'
import { framesOf, markedOn } from '../dicom/segmentation/frames.ts'
import { segmentedTags } from '../dicom/segmentation/segmentation.ts'
import type { FormatContext, StudyFormat } from '../study/format.ts'

/** Of all masks of a study: 64 MiB of bits, which is as much as 2,000 frames of 512 × 512. A thread holds them three times at most. */
const mostPixels = 2 ** 29
/** Each has an item of half a kilobyte that says what it is of. */
const mostFrames = 20_000

export function dicomSeg({ threads }: FormatContext): StudyFormat {
  const version = ownVersion()
  return {
    name: 'dicom-seg',
    contentType: 'application/dicom',
    async render(content, tools) {
      const groups = [...seriesAndSizes(referencedOf(content.images).filter(isMarked))]
      refuseTooMany(groups.map(([, of]) => of))
      return Promise.all(
        groups.map(async ([part, of], i) => {
          const headers = await Promise.all(
            of.map(async ({ image }) => {
              const header = await tools.header(image)
              return [image.id, 'attributes' in header ? neededOf(header.attributes) : null] as const
            }),
          )
          const images = of.map(({ image }) => image)
          // Only what was said of these images: the findings name models that did not see them.
          const few = { ...content, assessed: { ...content.assessed, findings: [] }, images, earlier: [] }
          const task = { content: few, headers: Object.fromEntries(headers), part, ordinal: i + 1, version }
          return { part, bytes: await threads.draw('dicomSeg', task, tools.signal) }
        }),
      )
    },
  }
}

/** @throws RaylogError too-large, before anything is read or drawn for it */
function refuseTooMany(series: readonly (readonly Referenced[])[]): void {
  let [count, pixels] = [0, 0]
  for (const of of series) {
    const { rows, columns } = of[0]?.image.instance ?? {}
    const { frames } = framesOf(of)
    count += frames.length
    pixels += frames.length * (rows ?? 0) * (columns ?? 0)
  }
  if (count <= mostFrames && pixels <= mostPixels) return
  throw new RaylogError(
    'too-large',
    `the masks of the study have ${count} frames of ${pixels} pixels in all; the most are ${mostFrames} frames and ${mostPixels} pixels`,
  )
}

/** What a mask repeats of a header: the rest need not be copied to a thread. */
const neededOf = (header: DicomAttributes): DicomAttributes =>
  Object.fromEntries(segmentedTags.flatMap(tag => (header[tag] ? [[tag, header[tag]]] : [])))

const isMarked = ({ image }: Referenced): boolean =>
  Boolean(image.instance?.rows && image.instance.columns) && markedOn(image).length > 0

/** A mask has one grid; images of a series mostly have one too. */
const seriesAndSizes = (images: readonly Referenced[]): Map<string, Referenced[]> =>
  Map.groupBy(images, ({ series, image: { instance } }) => `${series} ${instance?.rows}x${instance?.columns}`)
