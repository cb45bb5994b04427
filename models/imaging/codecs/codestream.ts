/** Headers of codestreams: JPEG and JPEG-LS (ITU-T T.81 B.2, T.87 C.2), JPEG 2000 (T.800 A.5). Nothing is decoded. */
import { RaylogError } from '../../../schemas/errors.ts'
import { failed, type StreamHeader } from './raster.ts'

export interface JpegHeader extends StreamHeader {
  /** Marker of the frame header: 0xc0 baseline, 0xc1 extended, 0xc2 progressive, 0xc3 lossless, 0xf7 JPEG-LS … */
  sof: number
  /** Component identifiers, and whether any is subsampled. */
  ids: number[]
  subsampled: boolean
  jfif: boolean
  /** Colour transform of an Adobe marker: 0 RGB, 1 YCbCr. */
  adobe: number | undefined
}

/** @throws RaylogError decode-failed */
export function jpegHeader(stream: Uint8Array): JpegHeader {
  if (stream[0] !== 0xff || stream[1] !== 0xd8) throw failed('the compressed image does not begin as a JPEG')
  const word = (at: number) => ((stream[at] ?? 0) << 8) | (stream[at + 1] ?? 0)
  let jfif = false
  let adobe: number | undefined
  for (let at = 2; at + 9 < stream.length; ) {
    if (stream[at] !== 0xff) throw failed('the JPEG header is broken')
    const marker = stream[at + 1] ?? 0
    if (marker === 0xff) {
      at++ // fill bytes
      continue
    }
    if (marker === 0xda || marker === 0xd9) break
    const length = word(at + 2)
    if (marker === 0xe0 && text(stream, at + 4, 4) === 'JFIF') jfif = true
    if (marker === 0xee && text(stream, at + 4, 5) === 'Adobe' && length >= 14) adobe = stream[at + 15]
    const isFrame = (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7
    if (isFrame) {
      const components = stream[at + 9] ?? 0
      const parts = Array.from({ length: components }, (_, i) => at + 10 + i * 3)
      return {
        sof: marker,
        precision: stream[at + 4] ?? 0,
        rows: word(at + 5),
        columns: word(at + 7),
        components,
        ids: parts.map(part => stream[part] ?? 0),
        subsampled: new Set(parts.map(part => stream[part + 1])).size > 1,
        jfif,
        adobe,
      }
    }
    at += 2 + length
  }
  throw failed('the compressed image has no frame header')
}

const text = (bytes: Uint8Array, at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length))

/** Without the zeros and FFs that pad a frame, and only if it ends with EOI. @throws RaylogError truncated */
export function untilEnd(stream: Uint8Array): Uint8Array {
  let end = stream.length
  while (end > 2 && (stream[end - 1] === 0 || (stream[end - 1] === 0xff && stream[end - 2] !== 0xff))) end--
  while (end > 2 && stream[end - 1] === 0xff) end--
  if (stream[end - 2] !== 0xff || stream[end - 1] !== 0xd9)
    throw new RaylogError('truncated', 'the compressed image has no end marker')
  return stream.subarray(0, end)
}

export interface SizHeader extends StreamHeader {
  signed: boolean
}

/**
 * The codestream itself, out of a JP2 file where it stands in one (PS3.5 8.2.4 forbids it, some devices do it).
 * @throws RaylogError decode-failed
 */
export function j2kStream(frame: Uint8Array): Uint8Array {
  if (frame[0] === 0xff && frame[1] === 0x4f) return frame
  const limit = Math.min(frame.length - 4, 4096)
  for (let at = 0; at < limit && frame[4] === 0x6a; at++) {
    if (frame[at] === 0xff && frame[at + 1] === 0x4f && frame[at + 2] === 0xff && frame[at + 3] === 0x51)
      return frame.subarray(at)
  }
  throw failed('the compressed image does not begin as JPEG 2000')
}

/** SIZ must follow SOC; COD's values must be possible. @throws RaylogError decode-failed */
export function sizHeader(stream: Uint8Array): SizHeader {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  if (stream.length < 45 || view.getUint16(2) !== 0xff51) throw failed('the JPEG 2000 header is broken')
  const at = (offset: number) => view.getUint32(8 + offset)
  const [width, height, left, top] = [at(0), at(4), at(8), at(12)]
  const [tileWidth, tileHeight, tileLeft, tileTop] = [at(16), at(20), at(24), at(28)]
  const components = view.getUint16(40)
  const [columns, rows] = [width - left, height - top]
  if (columns < 1 || rows < 1 || components < 1 || stream.length < 42 + components * 3)
    throw failed('the JPEG 2000 header is broken')
  if (tileWidth < 1 || tileHeight < 1 || tileLeft > left || tileTop > top || tileLeft + tileWidth <= left)
    throw failed('the JPEG 2000 header has impossible tiles')
  const tiles = Math.ceil((width - tileLeft) / tileWidth) * Math.ceil((height - tileTop) / tileHeight)
  if (tiles > 65_535) throw failed(`the JPEG 2000 header says ${tiles} tiles`)
  const depth = stream[42] ?? 0
  for (let i = 0; i < components; i++) {
    const part = 42 + i * 3
    if (stream[part] !== depth) throw failed('components of different precision')
    if (stream[part + 1] !== 1 || stream[part + 2] !== 1) throw failed('subsampled components in JPEG 2000')
  }
  checkCod(stream, view)
  return { rows, columns, components, precision: (depth & 0x7f) + 1, signed: depth >= 0x80 }
}

/** Coding style default, T.800 A.6.1. */
function checkCod(stream: Uint8Array, view: DataView): void {
  for (let at = 4 + view.getUint16(4); at + 14 <= stream.length; ) {
    const marker = view.getUint16(at)
    if (marker === 0xff90 || marker < 0xff00) break
    if (marker === 0xff52) {
      const layers = view.getUint16(at + 6)
      const [levels, across, down] = [stream[at + 9] ?? 255, stream[at + 10] ?? 255, stream[at + 11] ?? 255]
      if (layers === 0 || levels > 32 || across > 8 || down > 8 || across + down > 8)
        throw failed('the JPEG 2000 header has an impossible coding style')
      return
    }
    at += 2 + view.getUint16(at + 2)
  }
  throw failed('the JPEG 2000 header has no coding style')
}
