/** Values that stand for others: the same key gives the same ones, and nobody without it finds the way back. */
import { createHmac } from 'node:crypto'
import { uuidUid } from '../../../schemas/ids.ts'

/** Made of the key of this installation; the same for every object of a patient. */
export interface Substitutes {
  /** 2.25 and 122 bits of an HMAC as the UUID that they make (PS3.5 B.2). Well-known UIDs stay as they are. */
  uid(uid: string): string
  /** A date or time, so many days earlier; undefined where it is none. */
  shift(value: string, vr: 'DA' | 'DT' | 'TM'): string | undefined
  /** For Patient ID and Patient's Name. */
  pseudonym: string
}

/** @param patient what tells one patient from another: site, issuer and id; undefined where there is no id */
export function createSubstitutes(key: Uint8Array, patient: readonly string[] | undefined): Substitutes {
  const mac = (purpose: string, ...parts: readonly string[]): Buffer => {
    const hmac = createHmac('sha256', key)
    for (const part of [purpose, ...parts]) hmac.update(`${Buffer.byteLength(part)}:${part}`)
    return hmac.digest()
  }
  const days = patient === undefined ? 0 : -(30 + (mac('days', ...patient).readUInt32BE(0) % 3_620))
  return {
    uid: uid => (isWellKnown(uid) ? uid : uuidUid(mac('uid', uid))),
    shift: (value, vr) => (vr === 'TM' ? value : days === 0 ? undefined : shifted(value, days)),
    pseudonym:
      patient === undefined
        ? ''
        : `RL${mac('patient', ...patient)
            .subarray(0, 8)
            .toString('hex')
            .toUpperCase()}`,
  }
}

/** Classes, transfer syntaxes and coding schemes: UIDs of the standard itself, or of its like, that name no instance. */
export const isWellKnown = (uid: string): boolean => uid === '' || uid.startsWith('1.2.840.10008.')

/** DA, or DT of any precision from the year on with its offset; ACR-NEMA's dots are dropped. */
function shifted(value: string, days: number): string | undefined {
  const plain = value.trim().replace(/^(\d{4})\.(\d{2})\.(\d{2})$/, '$1$2$3')
  const found = /^(\d{4})(\d{2})?(\d{2})?(.*)$/.exec(plain)
  const [, year = '', month, day, rest = ''] = found ?? []
  if (found === null || !/^(\d{2}){0,3}(\.\d{1,6})?([+-]\d{4})?$/.test(rest)) return undefined
  const date = new Date(Date.UTC(Number(year), Number(month ?? 1) - 1, Number(day ?? 1)))
  if (Number.isNaN(date.getTime()) || date.getUTCMonth() !== Number(month ?? 1) - 1) return undefined
  date.setUTCDate(date.getUTCDate() + days)
  const text = date.toISOString().slice(0, 10).replaceAll('-', '')
  return text.slice(0, 4 + (month === undefined ? 0 : 2) + (day === undefined ? 0 : 2)) + rest
}

const dummies: Readonly<Record<string, string>> = {
  AE: 'REMOVED',
  AS: '000Y',
  CS: 'REMOVED',
  DA: '19000101',
  DS: '0',
  DT: '19000101000000',
  IS: '1',
  LO: 'REMOVED',
  LT: 'REMOVED',
  PN: 'REMOVED',
  SH: 'REMOVED',
  ST: 'REMOVED',
  TM: '000000',
  UC: 'REMOVED',
  UR: 'about:blank',
  UT: 'REMOVED',
}
const binary: Readonly<Record<string, number>> = {
  AT: 4,
  FD: 8,
  FL: 4,
  OD: 8,
  OF: 4,
  OL: 4,
  OV: 8,
  SL: 4,
  SS: 2,
  SV: 8,
  UL: 4,
  US: 2,
  UV: 8,
}

/**
 * Values that say nothing, right for the VR. Of numbers there are as many as there were: points and channels come in pairs.
 * @param length of what was there, bytes
 * @param count of the values that were there, for numbers in text
 */
export function dummyOf(
  vr: string,
  { length, count, big }: { length: number; count: number; big: boolean },
): Uint8Array {
  const text = dummies[vr]
  if (text !== undefined) {
    const numbers = vr === 'DS' || vr === 'IS'
    return textBytes(numbers ? Array.from({ length: count }, () => text).join('\\') : text, vr)
  }
  const width = binary[vr]
  if (width === undefined) return new Uint8Array(2)
  const out = new Uint8Array(Math.max(1, Math.floor(length / width)) * width)
  // Whole numbers are 1: many of them count from there.
  if (/^[SU][SLV]$/.test(vr)) for (let at = 0; at < out.length; at += width) out[big ? at + width - 1 : at] = 1
  return out
}

/** ASCII, to an even length. */
export function textBytes(text: string, vr: string): Uint8Array {
  const pad = vr === 'UI' ? '\0' : ' '
  return Buffer.from(text.length % 2 === 0 ? text : text + pad, 'latin1')
}
