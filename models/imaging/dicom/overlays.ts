/** Overlay planes (PS3.3 C.9.2): bitmaps in groups 6000 to 601E, or in bits of the pixels that Bits Stored leaves free. */
import type { DataSet } from 'dicom-parser'
import type { Raster } from '../codecs/raster.ts'
import type { Parsed } from './dataset.ts'
import type { PixelModule } from './pixels.ts'
import { explicitBig } from './syntaxes.ts'

const groups = Array.from({ length: 16 }, (_, i) => `x60${(i * 2).toString(16).padStart(2, '0')}`)

/**
 * The graphics that belong to a frame, drawn into one bitmap of its size. Regions of interest (type R) are no graphics, and
 * a plane whose header or data are broken is left out: the image without it is better than no image.
 * @param index 0-based
 * @returns undefined where there is nothing to draw; otherwise 1 where something is drawn
 */
export function readOverlays(
  parsed: Parsed,
  module: PixelModule,
  raster: Raster,
  index: number,
): Uint8Array | undefined {
  let bitmap: Uint8Array | undefined
  for (const group of groups) {
    const plane = planeOf(parsed, group, module, raster, index)
    if (plane === undefined) continue
    bitmap ??= new Uint8Array(module.rows * module.columns)
    draw(plane, bitmap, module)
  }
  return bitmap
}

interface Plane {
  rows: number
  columns: number
  /** Of the upper left corner, 0-based; may lie outside of the image. */
  top: number
  left: number
  isSet(pixel: number): boolean
}

function planeOf(parsed: Parsed, group: string, module: PixelModule, raster: Raster, index: number): Plane | undefined {
  const { data } = parsed
  const [rows, columns] = [data.uint16(`${group}0010`), data.uint16(`${group}0011`)]
  if (!rows || !columns || data.string(`${group}0040`)?.trim() !== 'G') return undefined
  const [top, left] = [(data.int16(`${group}0050`, 0) ?? 1) - 1, (data.int16(`${group}0050`, 1) ?? 1) - 1]
  const isSet =
    (data.uint16(`${group}0100`) ?? 1) > 1
      ? embedded(data, group, module, raster, rows * columns)
      : separate(parsed, group, index, rows * columns)
  return isSet && { rows, columns, top, left, isSet }
}

/** Overlay Data, eight pixels a byte; of several frames the one for this frame of the image (PS3.3 C.9.2.1.1.4). */
function separate({ data, transferSyntax }: Parsed, group: string, index: number, pixels: number) {
  const element = data.elements[`${group}3000`]
  if (element === undefined) return undefined
  const frames = Math.max(1, data.intString(`${group}0015`) || 1)
  const first = (data.uint16(`${group}0051`) ?? 1) - 1
  // An overlay of one frame that names none is for all of them.
  const frame = frames === 1 && data.elements[`${group}0051`] === undefined ? 0 : index - first
  if (frame < 0 || frame >= frames || Math.ceil(((frame + 1) * pixels) / 8) > element.length) return undefined
  const bytes = data.byteArray.subarray(element.dataOffset, element.dataOffset + element.length)
  const swapped = transferSyntax === explicitBig && element.vr !== 'OB' ? 1 : 0
  const start = frame * pixels
  return (pixel: number) => (((bytes[((start + pixel) >> 3) ^ swapped] ?? 0) >> ((start + pixel) & 7)) & 1) === 1
}

/** Overlay Bit Position names a bit of each pixel (retired in 2004). */
function embedded(data: DataSet, group: string, module: PixelModule, raster: Raster, pixels: number) {
  const bit = data.uint16(`${group}0102`) ?? 0
  const unused = bit > module.highBit || bit < module.highBit + 1 - module.bitsStored
  if (!raster.masked || !unused || bit >= raster.bits || raster.bits > 32 || pixels !== module.rows * module.columns)
    return undefined
  const width = raster.bits >> 3
  const plane = Uint8Array.from(
    { length: pixels },
    (_, i) => ((raster.data[i * width + (bit >> 3)] ?? 0) >> (bit & 7)) & 1,
  )
  return (pixel: number) => plane[pixel] === 1
}

function draw({ rows, columns, top, left, isSet }: Plane, bitmap: Uint8Array, module: PixelModule): void {
  const [fromRow, toRow] = [Math.max(0, -top), Math.min(rows, module.rows - top)]
  const [fromColumn, toColumn] = [Math.max(0, -left), Math.min(columns, module.columns - left)]
  for (let row = fromRow; row < toRow; row++) {
    for (let column = fromColumn; column < toColumn; column++)
      if (isSet(row * columns + column)) bitmap[(row + top) * module.columns + column + left] = 1
  }
}
