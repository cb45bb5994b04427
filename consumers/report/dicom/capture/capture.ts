/** A picture of an image with what was said of it, as a Secondary Capture (PS3.3 A.8.1): any viewer shows it. */
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import type { StudyContent, StudyImage } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import { codeItem, dcm } from '../codes.ts'
import { commonModules, copiedOf, reference, referencedOf } from '../common.ts'
import { created } from '../created.ts'
import { line } from '../text.ts'
import { toFile } from '../write.ts'
import { drawPicture, type Shown } from './picture.ts'

export interface Capture {
  content: StudyContent
  image: StudyImage
  preview: Shown['preview']
  explained: Shown['explained']
  /** Header of the image; null where it cannot be read. */
  source: DicomAttributes | null
  /** 1, 2, 3 … within the revision. */
  ordinal: number
  version: string
}

/** Instance numbers of one revision. */
const perRevision = 1000

export async function secondaryCapture(capture: Capture): Promise<Buffer> {
  const { content, image, source, ordinal, version } = capture
  const { width, height, rgb } = await drawPicture(capture)
  const burnedIn = source && firstText(source, '00280301')
  const side = image.instance?.laterality
  const lossy = source && firstText(source, '00282110') === '01'
  return toFile(
    {
      ...commonModules(content, {
        as: created.capture,
        part: image.id,
        instanceNumber: content.assessed.revision * perRevision + ordinal,
        version,
      }),
      ConversionType: 'WSD',
      ImageType: ['DERIVED', 'SECONDARY'],
      PatientOrientation: [],
      Laterality: side === 'L' || side === 'R' ? side : [],
      // Nobody's name is drawn in: what the image itself has stays, and where it does not say, neither do we.
      BurnedInAnnotation: burnedIn === 'YES' || burnedIn === 'NO' ? burnedIn : undefined,
      ...(lossy && { LossyImageCompression: '01' }),
      DerivationDescription: line('Image as displayed, with what models said of it drawn in', 1024),
      SourceImageSequence: referencedOf([image]).map(one => ({
        ...reference(one),
        PurposeOfReferenceCodeSequence: codeItem(dcm('121322', 'Source image for image processing operation')),
      })),
      SamplesPerPixel: 3,
      PhotometricInterpretation: 'RGB',
      PlanarConfiguration: 0,
      Rows: height,
      Columns: width,
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
      PixelRepresentation: 0,
      PixelData: rgb.length % 2 === 0 ? rgb : Buffer.concat([rgb, Buffer.alloc(1)]),
    },
    copiedOf(content),
  )
}
