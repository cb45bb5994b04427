/** The objects that Raylog makes: one table for those who make them and for the conformance statement. */

export interface Created {
  /** Name of the format that gives them. */
  readonly format: string
  readonly name: string
  readonly sopClass: string
  readonly modality: string
  readonly seriesNumber: number
  readonly seriesDescription: string
  /** When, and what stands in it that a reader must know. */
  readonly content: string
}

export const created = {
  sr: {
    format: 'dicom-sr',
    name: 'Comprehensive 3D SR Storage',
    sopClass: '1.2.840.10008.5.1.4.1.1.88.34',
    modality: 'SR',
    seriesNumber: 9001,
    seriesDescription: 'AI results (Raylog)',
    content:
      'one a revision; TID 1500 with 1501, 1410 (SCOORD outlines), 1600, 4019; Completion Flag COMPLETE or PARTIAL, Verification Flag UNVERIFIED; Predecessor Documents Sequence of a later revision',
  },
  pdf: {
    format: 'dicom-pdf',
    name: 'Encapsulated PDF Storage',
    sopClass: '1.2.840.10008.5.1.4.1.1.104.1',
    modality: 'DOC',
    seriesNumber: 9002,
    seriesDescription: 'AI report (Raylog)',
    content: 'one a revision; Verification Flag UNVERIFIED; Burned In Annotation YES where it names the patient',
  },
  capture: {
    format: 'dicom-sc',
    name: 'Secondary Capture Image Storage',
    sopClass: '1.2.840.10008.5.1.4.1.1.7',
    modality: 'OT',
    seriesNumber: 9003,
    seriesDescription: 'AI pictures (Raylog)',
    content: 'one for each image that is pictured; RGB, 8 bit; Burned In Annotation as the source image says',
  },
  segmentation: {
    format: 'dicom-seg',
    name: 'Segmentation Storage',
    sopClass: '1.2.840.10008.5.1.4.1.1.66.4',
    modality: 'SEG',
    seriesNumber: 9004,
    seriesDescription: 'AI segments (Raylog)',
    content: 'one for each series in which a model marks regions; BINARY, on the grid of the source images',
  },
} as const satisfies Record<string, Created>
