/** The answer of STOW-RS (PS3.18 10.5.3, tables 10.5.3-1 and I.2-1). */
import { readFileMeta } from '../../dicom/part10.ts'
import { isUid } from '../../dicom/uid.ts'
import type { Images } from '../../models/imaging/port.ts'
import type { DicomAttributes, DicomElement } from '../../schemas/dicom-json.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Received } from '../intake.ts'

export interface Failed {
  error: RaylogError
  /** Where the object could still say it. */
  sopClass?: string
  sopInstance?: string
}
/** `patient`: pseudonym. */
export type Outcome = { received: Received; patient: string | null } | Failed

/** Of an object that is refused, so much is kept to say which it was, bytes. */
const headBytes = 64 * 1024

/** Looks on while an object is received: which it is, and whether it was the request that broke off. */
export function outcomeSoFar() {
  const head: Buffer[] = []
  let kept = 0
  let brokeOff: RaylogError | undefined
  return {
    get brokeOff() {
      return brokeOff
    },
    async *watch(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
      try {
        for await (const chunk of chunks) {
          if (kept < headBytes) head.push(chunk)
          kept += chunk.length
          yield chunk
        }
      } catch (thrown) {
        brokeOff = thrown instanceof RaylogError ? thrown : new RaylogError('truncated', 'the data broke off')
        throw brokeOff
      }
    },
    async identity(images: Pick<Images, 'describe'>): Promise<Pick<Failed, 'sopClass' | 'sopInstance'>> {
      const bytes = Buffer.concat(head)
      try {
        const { facts } = await images.describe(bytes, false)
        return facts.dicom ? { sopClass: facts.dicom.sopClass, sopInstance: facts.dicom.sopInstance } : {}
      } catch (thrown) {
        if (!(thrown instanceof RaylogError)) throw thrown
        // What is wrong with it may be in the data set alone: no series, say.
        const { sopClass = '', sopInstance = '' } = readFileMeta(bytes) ?? {}
        return isUid(sopClass) && isUid(sopInstance) ? { sopClass, sopInstance } : {}
      }
    },
  }
}

const ui = (value: string): DicomElement => ({ vr: 'UI', Value: [value] })
const ur = (value: string): DicomElement => ({ vr: 'UR', Value: [value] })
const sq = (items: DicomAttributes[]): DicomElement => ({ vr: 'SQ', Value: items })

/** 200: all; 202: some; 409: none (PS3.18 table 10.5.3-2). */
export function storeResponse(outcomes: readonly Outcome[], base: string): { status: number; body: DicomAttributes } {
  const stored: DicomAttributes[] = []
  const failed: DicomAttributes[] = []
  const unknown: DicomAttributes[] = []
  const studies = new Set<string>()
  for (const outcome of outcomes) {
    if ('received' in outcome) {
      const { dicom } = outcome.received.facts
      if (dicom === null) continue
      const study = `${base}/studies/${dicom.study}`
      studies.add(study)
      stored.push({
        '00081150': ui(dicom.sopClass),
        '00081155': ui(dicom.sopInstance),
        '00081190': ur(`${study}/series/${dicom.series}/instances/${dicom.sopInstance}`),
      })
      continue
    }
    const reason: DicomAttributes = { '00081197': { vr: 'US', Value: [outcome.error.entry.dimse] } }
    const { sopClass, sopInstance } = outcome
    if (sopClass === undefined || sopInstance === undefined) unknown.push(reason)
    else failed.push({ '00081150': ui(sopClass), '00081155': ui(sopInstance), ...reason })
  }
  const [only] = studies
  const none = stored.length === 0
  return {
    status: none ? 409 : stored.length < outcomes.length ? 202 : 200,
    body: {
      ...(only !== undefined && studies.size === 1 && { '00081190': ur(only) }),
      ...(failed.length > 0 && { '00081198': sq(failed) }),
      ...(stored.length > 0 && { '00081199': sq(stored) }),
      ...(unknown.length > 0 && { '0008119A': sq(unknown) }),
    },
  }
}
