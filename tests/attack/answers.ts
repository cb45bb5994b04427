/** What may be answered to damaged files and messages: codes of the table, with the statuses that it gives them. */
import { expect } from 'vitest'
import { z } from 'zod'
import { errorTable, isErrorCode } from '../../schemas/error-table.ts'
import type { Raylog } from '../harness/raylog.ts'

const ofReceiving = new Set([
  ...['not-an-image', 'empty-upload', 'malformed-dicom', 'truncated', 'too-large', 'identity-mismatch'],
  ...['unknown-transfer-syntax', 'not-deidentified', 'pixels-not-cleaned', 'decode-failed', 'no-pixels'],
])
export const ofReading = new Set([...ofReceiving, 'video-not-decoded', 'not-acceptable'])

/** Statuses of DIMSE responses of every service (PS3.7 C, PS3.4 B, C, F, J). */
export const ofMessages = new Set([
  ...[0, 0xff00, 0xff01, 0xfe00, 0xb000, 0xa700, 0xa701, 0xa702, 0xa801, 0xa900, 0xc000],
  ...[0x0106, 0x0110, 0x0111, 0x0112, 0x0115, 0x0117, 0x0122, 0x0123, 0x0211],
])

/** Of a C-STORE: 0, or a code of the table with the status that the table gives it. */
export function checkStored({ status, comment }: { status: number; comment: string }): boolean {
  if (status === 0) return true
  const [code = ''] = comment.split(':')
  expect(ofReceiving).toContain(code)
  if (isErrorCode(code)) expect(status).toBe(errorTable[code].dimse)
  return false
}

const reasons = new Set([...ofReceiving].map(code => isErrorCode(code) && errorTable[code].dimse))
const sequence = z.object({
  Value: z.array(z.record(z.string(), z.object({ Value: z.array(z.unknown()).optional() }))),
})
const stowAnswer = z.object({
  '00081198': sequence.optional(),
  '00081199': sequence.optional(),
  '0008119A': sequence.optional(),
})

/** Sends one file by STOW-RS. @returns the SOP instance, where it was stored */
export async function stow(raylog: Raylog, bytes: Buffer): Promise<string | undefined> {
  const answer = await raylog.post('/dicomweb/studies', new Uint8Array(bytes), { 'content-type': 'application/dicom' })
  const said: unknown = await answer.json()
  if (answer.status !== 200 && answer.status !== 409) throw new Error(`${answer.status} ${JSON.stringify(said)}`)
  const told = stowAnswer.parse(said)
  const kept = told['00081199']?.Value[0]?.['00081155']?.Value?.[0]
  const failed = told['00081198'] ?? told['0008119A']
  expect(kept === undefined).toBe(answer.status === 409)
  if (kept === undefined) expect(reasons).toContain(failed?.Value[0]?.['00081197']?.Value?.[0])
  return kept === undefined ? undefined : String(kept)
}
