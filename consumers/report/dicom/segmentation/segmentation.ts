/** What models marked as a binary Segmentation (PS3.3 A.51), on the grid of its images, one object a series of images. */
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { uids } from '../../../../schemas/ids.ts'
import type { StudyContent } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import { artificialIntelligence, categories, codeItem, conceptOf, dcm } from '../codes.ts'
import { commonModules, copiedOf, type Referenced, reference, referencedOf } from '../common.ts'
import { created } from '../created.ts'
import { line, lines } from '../text.ts'
import { type DataSet, toFile } from '../write.ts'
import { framesOf, type MaskedFrame, type Segment } from './frames.ts'
import { type Geometry, geometryOf } from './geometry.ts'
import { emptyFrames, fillOutline, type Grid } from './raster.ts'

/** Of an image's header, what is read here: orientation, what was lost, and where it lies (geometry.ts). */
export const segmentedTags: readonly string[] = [
  ...['00200020', '00282110', '00282112', '00282114'],
  ...['00180050', '00200032', '00200037', '00200052', '00280030', '52009229', '52009230'],
]

export interface Segmented {
  /** Its images are those of one series and size, with something marked on each. */
  content: StudyContent
  /** `segmentedTags` of each, by id of the image; null where it cannot be read. */
  headers: Record<string, DicomAttributes | null>
  part: string
  /** 1, 2, 3 … within the revision. */
  ordinal: number
  version: string
}

export function segmentation({ content, headers, part, ordinal, version }: Segmented): Buffer {
  const images = referencedOf(content.images)
  const { segments, frames } = framesOf(images)
  const placed = frames.map(frame => {
    const header = headers[frame.of.image.id]
    return { ...frame, geometry: header ? geometryOf(header, frame.frame) : undefined }
  })
  // All of it lies in one space, or none of it is said to.
  const [space, ...others] = new Set(placed.map(({ geometry }) => geometry?.frameOfReference))
  const inSpace = space !== undefined && others.length === 0
  const groups = inSpace ? shared(placed) : {}
  const organization = uids.tracking(content.assessed.study, 'dimensions', part)
  return toFile(
    {
      ...commonModules(content, {
        as: created.segmentation,
        part,
        instanceNumber: content.assessed.revision * 1000 + ordinal,
        version,
      }),
      ImageType: ['DERIVED', 'PRIMARY'],
      ...pixelModule(sizeOf(images[0]), placed),
      ...lossiness(headers[images[0]?.image.id ?? '']),
      SegmentationType: 'BINARY',
      ...(segments.length > 1 && { SegmentsOverlap: 'UNDEFINED' }),
      ContentLabel: 'AI_REGIONS',
      ContentDescription: line('What models marked on the images'),
      ContentCreatorName: [],
      SegmentSequence: segments.map((segment, i) => segmentItem(content, segment, i + 1)),
      ReferencedSeriesSequence: {
        SeriesInstanceUID: images[0]?.series,
        ReferencedInstanceSequence: images.map(reference),
      },
      ...(inSpace
        ? { FrameOfReferenceUID: space, PositionReferenceIndicator: [] }
        : { PatientOrientation: orientationOf(headers[images[0]?.image.id ?? '']) }),
      DimensionOrganizationSequence: { DimensionOrganizationUID: organization },
      DimensionIndexSequence: dimensions(organization),
      SharedFunctionalGroupsSequence: groups,
      PerFrameFunctionalGroupsSequence: placed.map(frame => perFrame(frame, { inSpace, groups })),
    },
    copiedOf(content),
  )
}

const sizeOf = (of: Referenced | undefined): Grid => ({
  rows: of?.image.instance?.rows ?? 0,
  columns: of?.image.instance?.columns ?? 0,
})

type Placed = MaskedFrame & { geometry: Geometry | undefined }

const pixelModule = (grid: Grid, frames: readonly MaskedFrame[]): DataSet => ({
  SamplesPerPixel: 1,
  PhotometricInterpretation: 'MONOCHROME2',
  NumberOfFrames: frames.length,
  Rows: grid.rows,
  Columns: grid.columns,
  BitsAllocated: 1,
  BitsStored: 1,
  HighBit: 0,
  PixelRepresentation: 0,
  PixelData: drawn(grid, frames),
})

function drawn(grid: Grid, frames: readonly MaskedFrame[]): Uint8Array {
  const bits = emptyFrames(frames.length, grid)
  for (const [i, { outlines }] of frames.entries()) for (const points of outlines) fillOutline(bits, i, grid, points)
  return bits
}

/** Of a radiograph: a mask lies as its image does. */
const orientationOf = (header: DicomAttributes | null | undefined): string[] =>
  (header?.['00200020']?.Value ?? []).filter(value => typeof value === 'string')

/** As its images: what they lost is not in it either (PS3.3 C.8.20.2). */
function lossiness(header: DicomAttributes | null | undefined): DataSet {
  if (!header || firstText(header, '00282110') !== '01') return { LossyImageCompression: '00' }
  const methods = (header['00282114']?.Value ?? []).filter(value => typeof value === 'string')
  return {
    LossyImageCompression: '01',
    LossyImageCompressionRatio: (header['00282112']?.Value ?? [1]).map(Number).filter(Number.isFinite),
    ...(methods.length > 0 && { LossyImageCompressionMethod: methods }),
  }
}

const segmentItem = (content: StudyContent, { model, label }: Segment, number: number): DataSet => ({
  SegmentNumber: number,
  SegmentLabel: line(label) || 'unnamed',
  SegmentDescription: line(`${model.name}: ${label}`),
  SegmentAlgorithmType: 'AUTOMATIC',
  SegmentAlgorithmName: line(`${model.name} ${model.version}`),
  SegmentationAlgorithmIdentificationSequence: {
    AlgorithmFamilyCodeSequence: codeItem(artificialIntelligence),
    AlgorithmName: line(model.name),
    AlgorithmVersion: line(model.version),
    AlgorithmParameters: lines(`weights SHA-256 ${model.digest}`),
  },
  SegmentedPropertyCategoryCodeSequence: codeItem(categories.structure),
  SegmentedPropertyTypeCodeSequence: codeItem(conceptOf(label, content)),
  TrackingID: line(`${model.name}: ${label}`),
  TrackingUID: uids.tracking(content.assessed.study, 'segment', model.name, label),
})

const dimensions = (organization: string): DataSet[] => [
  {
    DimensionOrganizationUID: organization,
    DimensionIndexPointer: '0062000B',
    FunctionalGroupPointer: '0062000A',
    DimensionDescriptionLabel: 'Segment',
  },
  {
    DimensionOrganizationUID: organization,
    DimensionIndexPointer: '00209057',
    FunctionalGroupPointer: '00209111',
    DimensionDescriptionLabel: 'Image',
  },
]

function measuresOf({ spacing, thickness }: Geometry): DataSet {
  return { PixelSpacing: spacing, ...(thickness !== null && { SliceThickness: thickness }) }
}

const sameIn = (frames: readonly Placed[], of: (geometry: Geometry) => unknown) =>
  new Set(frames.map(({ geometry }) => JSON.stringify(geometry && of(geometry)))).size === 1

function shared(frames: readonly Placed[]): DataSet {
  const geometry = frames[0]?.geometry
  if (!geometry) return {}
  return {
    ...(sameIn(frames, measuresOf) && { PixelMeasuresSequence: measuresOf(geometry) }),
    ...(sameIn(frames, one => one.orientation) && {
      PlaneOrientationSequence: { ImageOrientationPatient: geometry.orientation },
    }),
  }
}

/** What is not the same in all frames stands in each. */
const placeOf = (geometry: Geometry, groups: DataSet): DataSet => ({
  PlanePositionSequence: { ImagePositionPatient: geometry.position },
  ...(!groups.PixelMeasuresSequence && { PixelMeasuresSequence: measuresOf(geometry) }),
  ...(!groups.PlaneOrientationSequence && {
    PlaneOrientationSequence: { ImageOrientationPatient: geometry.orientation },
  }),
})

interface InSpace {
  inSpace: boolean
  /** The shared ones. */
  groups: DataSet
}

function perFrame({ segment, of, frame, position, geometry }: Placed, { inSpace, groups }: InSpace): DataSet {
  return {
    FrameContentSequence: {
      StackID: '1',
      InStackPositionNumber: position,
      DimensionIndexValues: [segment, position],
    },
    SegmentIdentificationSequence: { ReferencedSegmentNumber: segment },
    DerivationImageSequence: {
      DerivationCodeSequence: codeItem(dcm('113076', 'Segmentation')),
      SourceImageSequence: {
        ...reference(of),
        ...((of.image.instance?.frames ?? 1) > 1 && { ReferencedFrameNumber: frame }),
        PurposeOfReferenceCodeSequence: codeItem(dcm('121322', 'Source image for image processing operation')),
        SpatialLocationsPreserved: 'YES',
      },
    },
    ...(inSpace && geometry && placeOf(geometry, groups)),
  }
}
