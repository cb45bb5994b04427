/** Where a frame lies in the patient, as its image says: single images, and multi-frame ones by their functional groups. */
import type { DicomAttributes, DicomValue } from '../../../../schemas/dicom-json.ts'
import { firstText } from '../../study/header.ts'

export interface Geometry {
  frameOfReference: string
  /** Image Position (Patient), mm. */
  position: readonly number[]
  /** Image Orientation (Patient). */
  orientation: readonly number[]
  /** Between rows, between columns; mm. */
  spacing: readonly number[]
  /** mm; null where the image does not say. */
  thickness: number | null
}

/** @param frame counted from 1. Undefined where the image does not say where it is: a radiograph. */
export function geometryOf(header: DicomAttributes, frame: number): Geometry | undefined {
  const [shared] = items(header['52009229'])
  const own = items(header['52009230'])[frame - 1]
  const group = (tag: string): DicomAttributes => items(own?.[tag])[0] ?? items(shared?.[tag])[0] ?? header
  const position = numbers(group('00209113')['00200032'])
  const orientation = numbers(group('00209116')['00200037'])
  const measures = group('00289110')
  const spacing = numbers(measures['00280030'])
  const [thickness = null] = numbers(measures['00180050'])
  const frameOfReference = firstText(header, '00200052')
  if (frameOfReference === null || position.length !== 3 || orientation.length !== 6 || spacing.length !== 2) return
  return { frameOfReference, position, orientation, spacing, thickness }
}

/** Empty items stand: frames are counted. */
const items = (element: DicomAttributes[string] | undefined): DicomAttributes[] =>
  element?.vr === 'SQ' ? (element.Value ?? []).filter(isItem) : []

const isItem = (value: DicomValue): value is DicomAttributes => typeof value === 'object' && value !== null

const numbers = (element: DicomAttributes[string] | undefined): number[] =>
  (element?.Value ?? []).map(Number).filter(Number.isFinite)
