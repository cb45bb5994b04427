/** The image library (TID 1600): what the report rests on, so that a reader need not have the images to know it. */
import { dcm, modalityCode, ucum } from '../codes.ts'
import type { Referenced } from '../common.ts'
import type { DataSet } from '../write.ts'
import { coded, container, image, number } from './items.ts'

const pixels = ucum('{pixels}', 'Pixels')

/** A group a series, with what its images have in common (TID 1602). */
export function imageLibrary(images: readonly Referenced[]): DataSet {
  const series = [...Map.groupBy(images, one => one.series).values()]
  return container(
    dcm('111028', 'Image Library'),
    series.map(ofSeries =>
      container(dcm('126200', 'Image Library Group'), [
        coded(
          'HAS ACQ CONTEXT',
          dcm('121139', 'Modality'),
          modalityCode(ofSeries[0]?.image.instance?.modality ?? null),
        ),
        ...ofSeries.map(one => image('CONTAINS', null, one, { children: sizeOf(one) })),
      ]),
    ),
    1600,
  )
}

function sizeOf({ image: { instance } }: Referenced): DataSet[] {
  if (!instance?.rows || !instance.columns) return []
  return [
    number('HAS ACQ CONTEXT', dcm('110910', 'Pixel Data Rows'), instance.rows, pixels),
    number('HAS ACQ CONTEXT', dcm('110911', 'Pixel Data Columns'), instance.columns, pixels),
  ]
}
