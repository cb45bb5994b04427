/** Modality and VOI transforms of one frame, from the data set or its functional groups (PS3.3 C.11.1, C.11.2, C.7.6.16). */
import type { DataSet } from 'dicom-parser'
import type { DecodedFrame, Window } from '../types.ts'
import { readLut } from './lut.ts'
import type { PixelModule } from './pixels.ts'

/** Sequences that must be read for these, and no others. */
export const transformSequences: ReadonlySet<string> = new Set(['x00283000', 'x00283010', 'x52009229', 'x52009230'])

type Transforms = Pick<DecodedFrame, 'inverted' | 'modality' | 'windows' | 'voiLut' | 'padding'>

/** @param index 0-based frame */
export function readTransforms(data: DataSet, module: PixelModule, index: number): Transforms {
  // A frame's own group goes before the shared one, that before the data set itself.
  const groups = [groupsOf(data, 'x52009230', index), groupsOf(data, 'x52009229', 0)]
  const rescale = first([...groups.map(group => item(group, 'x00289145')), data], found =>
    found.floatString('x00281053'),
  )
  const voi = first([...groups.map(group => item(group, 'x00289132')), data], found => windowsOf(found)[0])
  const modalityLut = item(data, 'x00283000')
  const lut = modalityLut && readLut(modalityLut, 'x00283002', 'x00283006', module.signed)
  const slope = rescale?.floatString('x00281053') || 1
  const intercept = rescale?.floatString('x00281052') || 0
  const voiItem = item(data, 'x00283010')
  // What goes into the VOI LUT are modality values, which may be negative though the stored ones are not.
  const voiLut =
    voiItem && readLut(voiItem, 'x00283002', 'x00283006', lut === undefined && (module.signed || intercept < 0))
  return {
    inverted: module.photometric === 'MONOCHROME1' || data.string('x20500020') === 'INVERSE',
    modality: lut === undefined ? { slope: finite(slope, 1), intercept: finite(intercept, 0) } : { lut },
    windows: voi === undefined ? [] : windowsOf(voi),
    voiLut: voiLut ?? null,
    padding: paddingOf(data, module),
  }
}

const finite = (value: number, otherwise: number) => (Number.isFinite(value) ? value : otherwise)

function groupsOf(data: DataSet, tag: string, index: number): DataSet | undefined {
  return data.elements[tag]?.items?.[index]?.dataSet
}

const item = (data: DataSet | undefined, tag: string) => data?.elements[tag]?.items?.[0]?.dataSet

function first<T>(sets: (DataSet | undefined)[], value: (data: DataSet) => T | undefined): DataSet | undefined {
  return sets.find(set => set !== undefined && value(set) !== undefined)
}

/** Window Center and Width in pairs; those that PS3.3 C.11.2.1.2 does not allow are left out. */
function windowsOf(data: DataSet): Window[] {
  const name = data.string('x00281056')?.trim().toUpperCase()
  const shape = name === 'SIGMOID' ? 'sigmoid' : name === 'LINEAR_EXACT' ? 'linear-exact' : 'linear'
  const windows: Window[] = []
  for (let i = 0; i < (data.numStringValues('x00281050') ?? 0); i++) {
    const center = data.floatString('x00281050', i)
    const width = data.floatString('x00281051', i)
    if (center === undefined || width === undefined || !Number.isFinite(center) || !Number.isFinite(width)) continue
    if (shape === 'linear' ? width >= 1 : width > 0) windows.push({ center, width, shape })
  }
  return windows
}

/** Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2), of the samples' own kind. */
function paddingOf(data: DataSet, module: PixelModule): DecodedFrame['padding'] {
  if (module.samples !== 1 || module.photometric === 'PALETTE COLOR') return null
  const read = (whole: string, float: string, double: string) =>
    module.float
      ? module.bitsAllocated === 32
        ? data.float(float)
        : data.double(double)
      : module.signed
        ? data.int16(whole)
        : data.uint16(whole)
  const value = read('x00280120', 'x00280122', 'x00280123')
  if (value === undefined) return null
  const limit = read('x00280121', 'x00280124', 'x00280125') ?? value
  return { low: Math.min(value, limit), high: Math.max(value, limit) }
}
