/** What the DICOMweb routes share: whose objects a path names, and the addresses of resources. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { DicomInstanceDoc } from '../../schemas/dicom-index.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { DicomIndex, DicomMatch } from '../../storage/dicom-query.ts'
import type { AccessAudit, Seen } from '../accesses.ts'
import type { ApiPorts } from '../api/context.ts'

export const prefix = '/dicomweb'

export interface DicomwebSettings {
  maxResults: number
  maxInstances: number
}

export interface DicomwebContext {
  readonly deps: Pick<ApiPorts, 'objects' | 'images'>
  readonly index: DicomIndex
  readonly settings: DicomwebSettings
  readonly audit: AccessAudit
}

const uid = z
  .string()
  .max(64)
  .regex(/^[0-9.]+$/, 'not a UID')

export const params = {
  study: z.object({ study: uid }),
  series: z.object({ study: uid, series: uid }),
  instance: z.object({ study: uid, series: uid, instance: uid }),
  frames: z.object({
    study: uid,
    series: uid,
    instance: uid,
    frames: z
      .string()
      .max(10_000)
      .regex(/^[1-9]\d{0,8}(,[1-9]\d{0,8})*$/, 'numbers from 1, with commas between'),
  }),
}

export interface Resource {
  study?: string | undefined
  series?: string | undefined
  instance?: string | undefined
}

/** The keys of a query that a path stands for. */
export function pathKeys({ study, series, instance }: Resource): Record<string, string> {
  return {
    ...(study !== undefined && { StudyInstanceUID: study }),
    ...(series !== undefined && { SeriesInstanceUID: series }),
    ...(instance !== undefined && { SOPInstanceUID: instance }),
  }
}

/** An instance and the UIDs above it. */
export interface Located {
  /** Pseudonym. */
  patient: string | null
  doc: DicomInstanceDoc
  study: string
  series: string
}

/**
 * The instances that a path names, in the order of their numbers.
 * @throws RaylogError not-found, too-large
 */
export async function instancesOf(context: DicomwebContext, resource: Resource): Promise<Located[]> {
  const { maxInstances } = context.settings
  const found: Located[] = []
  for await (const match of context.index.find({ level: 'IMAGE', keys: pathKeys(resource), counts: false })) {
    if (found.length >= maxInstances)
      throw new RaylogError('too-large', `more than gateway.dicomweb.maxInstances: ${maxInstances}; ask by series`)
    const located = locate(match)
    if (located !== undefined) found.push(located)
  }
  if (found.length === 0) throw new RaylogError('not-found', 'Nothing is stored under this address.')
  return found
}

/** @throws RaylogError not-found */
export async function instanceOf(context: DicomwebContext, resource: Required<Resource>): Promise<Located> {
  const [first] = await instancesOf(context, resource)
  if (first === undefined) throw new RaylogError('not-found', 'There is no such instance.')
  return first
}

function locate({ instance, study, series }: DicomMatch): Located | undefined {
  if (instance === undefined || study === undefined || series === undefined) return undefined
  return { doc: instance, study: study.uid, series: series.uid, patient: study.patient }
}

/** For the audit. */
export const seen = ({ doc, study, patient }: Located): Seen => ({
  ...{ study, patient },
  sopClass: String(doc.values['00080016']?.[0] ?? ''),
})

export const baseUrl = (request: FastifyRequest): string => `${request.protocol}://${request.host}${prefix}`

export const urlOf = (base: string, { study, series, instance }: Resource): string =>
  [base, ...[study && `studies/${study}`, series && `series/${series}`, instance && `instances/${instance}`]]
    .filter(part => part !== undefined && part !== '')
    .join('/')
