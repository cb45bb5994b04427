/** For tests: an object with an identifier in every attribute of table E.1-1, at its top and within sequences. */
import { type Encoding, headOf, itemTag, total } from '../dicom/elements.ts'
import { fileMeta } from './file-meta.ts'
import { type Row, rows } from './table.ts'
import { textBytes } from './values.ts'

export interface Planted {
  bytes: Uint8Array
  /** What must not be found in what is made of it, in any form; and the attribute of the table that it stands in. */
  secrets: { tag: string; text: string; inside: string }[]
}

const numbers: Readonly<Record<string, number>> = { FD: 8, FL: 4, SL: 4, SS: 2, SV: 8, UL: 4, US: 2, UV: 8, AT: 4 }
const planted = Buffer.from('PLANTED!', 'latin1')

let serial = 0

/** One value that nothing else has. */
export function secretFor(vr: string): { value: Uint8Array; text: string | undefined } {
  const number = String(++serial).padStart(5, '0')
  const width = numbers[vr]
  if (width !== undefined) return { value: planted.subarray(0, width), text: undefined }
  const text = textFor(vr, number)
  return { value: textBytes(text, vr), text }
}

function textFor(vr: string, number: string): string {
  // Another day for each: what is left must be known for its own.
  if (vr === 'DA') return new Date(Date.UTC(1900, 0, serial + 1)).toISOString().slice(0, 10).replaceAll('-', '')
  if (vr === 'DT') return `18500613111213.${number}`
  if (vr === 'TM') return `111213.${number}`
  if (vr === 'UI') return `1.2.826.0.1.3680043.10.99999.77.${Number(number)}`
  if (vr === 'DS' || vr === 'IS') return `7${number}77`
  if (vr === 'AS') return `${number.slice(-3)}Y`
  if (vr === 'PN') return `Canary^${number}`
  return `CANARY${number}`
}

/** @param date what DA are, so that shifted ones can be told from those that stayed */
export function plantedObject(encoding: Encoding, syntax: string, uids: Uids): Planted {
  const secrets: Planted['secrets'] = []
  const single = (row: Row, depth: number, inside = row.tag): Uint8Array[] => {
    const tag = Number.parseInt(row.tag.replaceAll('x', '0'), 16)
    if (row.vr === 'SQ') {
      const body = inner(inside, depth, row.basic === 'X/Z/U*' || row.uids === 'K')
      const item = [headOf(itemTag, 'UN', total(body), encoding), ...body]
      return [headOf(tag, 'SQ', total(item), encoding), ...item]
    }
    const { value, text } = secretFor(row.vr)
    if (text !== undefined) secrets.push({ tag: row.tag, text, inside })
    return [headOf(tag, row.vr, value.length, encoding), value]
  }
  /** What a sequence that must stay may hold: a name, a text, a date, a UID, a code, a number; and another sequence. */
  const inner = (inside: string, depth: number, referring: boolean): Uint8Array[] => {
    if (referring) return single({ tag: '00081155', vr: 'UI', name: '', basic: 'U' }, depth, inside)
    const plain = [
      ['00080100', 'SH'],
      ['00080104', 'LO'],
      ['00081155', 'UI'],
      ['0040a121', 'DA'],
      ['0040a123', 'PN'],
      ['0040a160', 'UT'],
      ['0040a30a', 'DS'],
    ] as const
    const body = plain.flatMap(([tag, vr]) => single({ tag, vr, name: '', basic: 'D' }, depth, inside))
    const deeper = depth < 2 ? single({ tag: '0040a730', vr: 'SQ', name: '', basic: 'D' }, depth + 1, inside) : []
    return [...body, ...deeper]
  }
  const wanted = rows.filter(row => /^[0-9a-f]{4}/.test(row.tag) && !/^(0000|0002|0004)/.test(row.tag))
  const all = () => wanted.flatMap(row => [{ tag: row.tag, chunks: single(row, 0) }])
  const element = (tag: number, vr: string, value: Uint8Array) => ({
    tag: tag.toString(16).padStart(8, '0'),
    chunks: [headOf(tag, vr, value.length, encoding), value],
  })
  const us = (value: number) => Uint8Array.of(...(encoding.big ? [0, value] : [value, 0]))
  // Derivation Code Sequence is not of the table, so it stays, and what of the table is in it must go all the same.
  const within = all().flatMap(({ chunks }) => chunks)
  const item = [headOf(itemTag, 'UN', 0xffffffff, encoding), ...within, headOf(0xfffee00d, 'UN', 0, encoding)]
  const kept = [headOf(0x00089215, 'SQ', 0xffffffff, encoding), ...item, headOf(0xfffee0dd, 'UN', 0, encoding)]
  const privateSecret = secretFor('LO')
  if (privateSecret.text !== undefined) secrets.push({ tag: 'private', text: privateSecret.text, inside: 'private' })
  const fixed = [
    element(0x00080016, 'UI', textBytes(uids.sopClass, 'UI')),
    element(0x00080018, 'UI', textBytes(uids.sopInstance, 'UI')),
    element(0x00080060, 'CS', textBytes('CT', 'CS')),
    { tag: '00089215', chunks: kept },
    element(0x00090010, 'LO', textBytes('CANARY INC', 'LO')),
    element(0x00091001, 'LO', privateSecret.value),
    element(0x0020000d, 'UI', textBytes(uids.study, 'UI')),
    element(0x0020000e, 'UI', textBytes(uids.series, 'UI')),
    element(0x00280002, 'US', us(1)),
    element(0x00280004, 'CS', textBytes('MONOCHROME2', 'CS')),
    element(0x00280010, 'US', us(2)),
    element(0x00280011, 'US', us(2)),
    element(0x00280100, 'US', us(8)),
    element(0x00280101, 'US', us(8)),
    element(0x00280102, 'US', us(7)),
    element(0x00280103, 'US', us(0)),
    element(0x7fe00010, 'OW', Uint8Array.of(1, 2, 3, 4)),
  ]
  const taken = new Set(fixed.map(({ tag }) => tag))
  const set = [...fixed, ...all().filter(({ tag }) => !taken.has(tag))]
  set.sort((a, b) => Number.parseInt(a.tag.replaceAll('x', '0'), 16) - Number.parseInt(b.tag.replaceAll('x', '0'), 16))
  const meta = fileMeta({ sopClass: uids.sopClass, sopInstance: uids.sopInstance, transferSyntax: syntax })
  return { bytes: new Uint8Array(Buffer.concat([meta, ...set.flatMap(({ chunks }) => chunks)])), secrets }
}

export interface Uids {
  sopClass: string
  sopInstance: string
  study: string
  series: string
}
