/** Look-up tables: LUT Descriptor and LUT Data (PS3.3 C.11.1.1, C.7.6.3.1.5). */
import dicomParser, { type DataSet, type Element } from 'dicom-parser'
import { RaylogError } from '../../../schemas/errors.ts'
import type { Lut } from '../types.ts'

/**
 * @param signed whether the first value mapped is signed: it is of the kind of the values that go in
 * @returns undefined where there is no such table
 * @throws RaylogError malformed-dicom
 */
export function readLut(data: DataSet, descriptorTag: string, dataTag: string, signed: boolean): Lut | undefined {
  const descriptor = readDescriptor(data, descriptorTag, signed)
  const element = data.elements[dataTag]
  if (descriptor === undefined || element === undefined || element.length === 0) return undefined
  const { count, first, bits } = descriptor
  const entries = new Uint16Array(count)
  if (element.length < count)
    throw new RaylogError('malformed-dicom', `a LUT of ${count} entries has ${element.length} bytes`)
  const words = element.length >= count * 2
  for (let i = 0; i < count; i++) {
    entries[i] = words ? (data.uint16(dataTag, i) ?? 0) : (byteAt(data, element, i) ?? 0)
  }
  return { first, bits, entries }
}

/** A table of bytes stands in words, which are turned round in big endian unless they are OB (PS3.5 A.3). */
export function byteAt({ byteArray, byteArrayParser }: DataSet, { dataOffset, vr }: Element, at: number) {
  const turned = byteArrayParser === dicomParser.bigEndianByteArrayParser && vr !== 'OB'
  return byteArray[dataOffset + (turned ? at ^ 1 : at)]
}

export interface Descriptor {
  count: number
  first: number
  bits: number
}

export function readDescriptor(data: DataSet, tag: string, signed: boolean): Descriptor | undefined {
  const element = data.elements[tag]
  if (element === undefined || element.length < 6) return undefined
  const count = data.uint16(tag, 0) || 65_536 // 0 stands for 2^16
  const first = (signed ? data.int16(tag, 1) : data.uint16(tag, 1)) ?? 0
  const bits = data.uint16(tag, 2) ?? 16
  if (bits < 1 || bits > 16) throw new RaylogError('malformed-dicom', `a LUT with entries of ${bits} bits`)
  return { count, first, bits }
}
