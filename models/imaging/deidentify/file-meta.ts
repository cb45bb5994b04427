/** The file meta information of a de-identified object, made anew: the old one names senders and holds private parts. */
import { implementation } from '../../../schemas/implementation.ts'
import { headOf, sourceOf } from '../dicom/elements.ts'
import { textBytes } from './values.ts'

const explicit = { explicit: true, big: false }

/** 128 zeros, DICM and group 0002 (PS3.10 7.1). */
export function fileMeta(of: { sopClass: string; sopInstance: string; transferSyntax: string }): Uint8Array {
  const element = (tag: number, vr: string, value: Uint8Array) => [headOf(tag, vr, value.length, explicit), value]
  const group = Buffer.concat([
    ...element(0x00020001, 'OB', Uint8Array.of(0, 1)),
    ...element(0x00020002, 'UI', textBytes(of.sopClass, 'UI')),
    ...element(0x00020003, 'UI', textBytes(of.sopInstance, 'UI')),
    ...element(0x00020010, 'UI', textBytes(of.transferSyntax, 'UI')),
    ...element(0x00020012, 'UI', textBytes(implementation.classUid, 'UI')),
    ...element(0x00020013, 'SH', textBytes(implementation.version, 'SH')),
  ])
  const length = new Uint8Array(4)
  sourceOf(length).view.setUint32(0, group.length, true)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), ...element(0x00020000, 'UL', length), group])
}
