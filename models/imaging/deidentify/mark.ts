/** What a de-identified object says of itself (PS3.3 C.12.1.1.1, C.7.1.1, PS3.15 E.1.1), and the header of cleaned pixels. */
import type { DeidentifyOption } from '../../../schemas/deidentify.ts'
import { type Encoding, headOf, itemTag, total } from '../dicom/elements.ts'
import type { CleanedPixels } from './clean-pixels.ts'
import type { Written } from './rewrite.ts'
import { textBytes } from './values.ts'

type DataSet = Map<number, Written>

/** PS3.16 context group 7050. */
export const methodCodes: Readonly<Record<'basic' | DeidentifyOption, readonly [string, string]>> = {
  basic: ['113100', 'Basic Application Confidentiality Profile'],
  'clean-pixels': ['113101', 'Clean Pixel Data Option'],
  'clean-structured-content': ['113104', 'Clean Structured Content Option'],
  'clean-descriptors': ['113105', 'Clean Descriptors Option'],
  'retain-full-dates': ['113106', 'Retain Longitudinal Temporal Information Full Dates Option'],
  'shift-dates': ['113107', 'Retain Longitudinal Temporal Information Modified Dates Option'],
  'retain-patient-characteristics': ['113108', 'Retain Patient Characteristics Option'],
  'retain-device': ['113109', 'Retain Device Identity Option'],
  'retain-uids': ['113110', 'Retain UIDs Option'],
  'retain-safe-private': ['113111', 'Retain Safe Private Option'],
  'retain-institution': ['113112', 'Retain Institution Identity Option'],
}

function put(set: DataSet, tag: number, vr: string, value: Uint8Array, encoding: Encoding): void {
  set.set(tag, { tag, chunks: [headOf(tag, vr, value.length, encoding), value] })
}

export interface Marks {
  options: ReadonlySet<DeidentifyOption>
  /** Burned In Annotation; undefined leaves what was said. */
  burntIn: boolean | undefined
  /** Whether there was a patient to whom dates could be shifted. */
  dated: boolean
}

export function markDeidentified(set: DataSet, encoding: Encoding, { options, burntIn, dated }: Marks): void {
  const text = (tag: number, vr: string, value: string) => put(set, tag, vr, textBytes(value, vr), encoding)
  const used = ['basic' as const, ...options]
  text(0x00120062, 'CS', 'YES')
  text(0x00120063, 'LO', ['DICOM PS3.15 E.1-1 2026c', ...options].join('\\'))
  const items = used.flatMap(name => {
    const [value, meaning] = methodCodes[name]
    const parts = [
      [0x00080100, 'SH', value],
      [0x00080102, 'SH', 'DCM'],
      [0x00080104, 'LO', meaning],
    ] as const
    const body = parts.flatMap(([tag, vr, said]) => {
      const bytes = textBytes(said, vr)
      return [headOf(tag, vr, bytes.length, encoding), bytes]
    })
    return [headOf(itemTag, 'UN', total(body), encoding), ...body]
  })
  set.set(0x00120064, { tag: 0x00120064, chunks: [headOf(0x00120064, 'SQ', total(items), encoding), ...items] })
  const dates = options.has('retain-full-dates')
    ? 'UNMODIFIED'
    : options.has('shift-dates') && dated
      ? 'MODIFIED'
      : 'REMOVED'
  text(0x00280303, 'CS', dates)
  if (burntIn !== undefined) text(0x00280301, 'CS', burntIn ? 'YES' : 'NO')
}

/** Palettes, and the offset tables of frames that are no longer encapsulated. */
const overtaken = [
  0x00281101, 0x00281102, 0x00281103, 0x00281199, 0x00281201, 0x00281202, 0x00281203, 0x00281221, 0x00281222,
  0x00281223,
]
const offsetTables = [0x7fe00001, 0x7fe00002]

export function putPixels(set: DataSet, { value, changed }: CleanedPixels, encoding: Encoding): void {
  const old = [0x7fe00008, 0x7fe00009, 0x7fe00010].find(tag => set.has(tag)) ?? 0x7fe00010
  const even = value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.alloc(1)])
  const head = set.get(old)?.chunks[0]
  const said = head === undefined ? 'OW' : Buffer.from(head.subarray(4, 6)).toString('latin1')
  const vr = changed === undefined ? said : changed.bitsAllocated > 8 ? 'OW' : 'OB'
  put(set, old, encoding.explicit ? vr : 'OW', even, encoding)
  if (changed === undefined) return
  const number = (tag: number, of: number) => {
    const bytes = Buffer.alloc(2)
    if (encoding.big) bytes.writeUInt16BE(of)
    else bytes.writeUInt16LE(of)
    put(set, tag, 'US', bytes, encoding)
  }
  number(0x00280002, changed.samples)
  put(set, 0x00280004, 'CS', textBytes(changed.photometric, 'CS'), encoding)
  if (changed.samples === 3) number(0x00280006, 0)
  number(0x00280100, changed.bitsAllocated)
  number(0x00280101, changed.bitsStored)
  number(0x00280102, changed.bitsStored - 1)
  number(0x00280103, changed.signed ? 1 : 0)
  for (const tag of offsetTables) set.delete(tag)
  if (changed.samples === 3) for (const tag of overtaken) set.delete(tag)
}
