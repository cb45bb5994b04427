/** What decoding gives, before and after it is made fit to be seen. */

export type Samples =
  | Uint8Array
  | Uint16Array
  | Int8Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array

export interface Window {
  center: number
  width: number
  /** VOI LUT Function, PS3.3 C.11.2.1.2 */
  shape: 'linear' | 'linear-exact' | 'sigmoid'
}

/** A look-up table: values below `first` get the first entry, values past the end the last (PS3.3 C.11.1, C.11.2). */
export interface Lut {
  first: number
  bits: number
  entries: Uint16Array
}

/**
 * One frame as stored: samples sign-extended, in the machine's byte order, pixel interleaved (r, g, b, r, g, b …), with
 * palette and YBR already turned into RGB. `samples.length` is rows × columns × channels.
 */
export interface DecodedFrame {
  rows: number
  columns: number
  channels: 1 | 3
  samples: Samples
  bitsStored: number
  /** Shown inverted: MONOCHROME1, or a presentation LUT shape of INVERSE. */
  inverted: boolean
  /** Modality transform: a LUT, or slope and intercept (1, 0 for none). */
  modality: { lut: Lut } | { slope: number; intercept: number }
  /** The image's own windows, first one first; then VOI LUTs. Empty: the range of the values is shown. */
  windows: Window[]
  voiLut: Lut | null
  /** Stored value that pads the image and is not part of it. */
  padding: { low: number; high: number } | null
  /** Graphics of overlay planes, rows × columns, 1 where drawn. For people alone: models see the image without them. */
  overlay?: Uint8Array
  /** Colours of the stored values from `first` on, 8 bits a channel (Supplemental Palette Color LUT). For people alone. */
  supplement?: { first: number; red: Uint8Array; green: Uint8Array; blue: Uint8Array }
}

/** 8 bit, as a person would see it: 1 channel grey or 3 channels RGB, interleaved. */
export interface DisplayImage {
  width: number
  height: number
  channels: 1 | 3
  data: Uint8Array
}
