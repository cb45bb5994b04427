/** Keeps who a pseudonym stands for: read from the image's header, sealed, written once. */
import { LRUCache } from 'lru-cache'
import type { Ports } from '../../kafka/ports.ts'
import type { HeaderAttributes } from '../../models/imaging/port.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { Instance } from '../../schemas/topics.ts'

export type PatientPorts = Pick<Ports, 'documents' | 'secrets'> & { clock: Clock }

export interface HeadLimits {
  headBytes: number
  maxHeadBytes: number
}

export interface PatientLimits {
  knownPatients: number
  knownPatientMs: number
}

type Identity = HeaderAttributes['patient']

/**
 * The first identity that is seen stays: later images of the patient do not change it.
 * @returns a function that resolves when the patient of an instance is kept
 */
export function patientKeeper(ports: PatientPorts, limits: PatientLimits) {
  const { documents, secrets, clock } = ports
  const known = new LRUCache<string, { at: number }>({ max: limits.knownPatients })
  const underWay = new Map<string, Promise<void>>()

  async function keep(site: string, pseudonym: string, patient: Identity): Promise<void> {
    if (!(await documents.get('patients', pseudonym))) {
      const sealed = secrets.seal(JSON.stringify(patient), pseudonym)
      await documents.insert('patients', { id: pseudonym, site, sealed })
    }
    known.set(pseudonym, { at: clock.now() })
  }

  return async (site: string, pseudonym: string, patient: Identity): Promise<void> => {
    const seen = known.get(pseudonym)
    if (seen && clock.now() - seen.at < limits.knownPatientMs) return
    // A study of a thousand slices is one patient, and is looked up once. A failure is not shared: the next tries.
    const pending = underWay.get(pseudonym)
    if (pending) await pending.catch(() => undefined) // the one that began it hears why
    if (pending && known.has(pseudonym)) return
    const work = keep(site, pseudonym, patient).finally(() => {
      if (underWay.get(pseudonym) === work) underWay.delete(pseudonym)
    })
    underWay.set(pseudonym, work)
    await work
  }
}

/**
 * Reads more and more of the object until its header is whole. Pixels are read only where they stand within that.
 * @throws RaylogError object-missing, malformed-dicom, too-large
 */
export async function readHead(
  { objects, images }: Pick<Ports, 'objects' | 'images'>,
  limits: HeadLimits,
  { object }: Pick<Instance, 'object'>,
): Promise<HeaderAttributes> {
  let size = Math.min(limits.headBytes, object.bytes)
  for (;;) {
    const head = await objects.range(object.key, { start: 0, end: Math.max(0, size - 1) })
    try {
      // As a beginning, even where it is all: whether the pixels are whole is for those who need them.
      return await images.attributes(head, false)
    } catch (thrown) {
      const error = toRaylogError(thrown)
      if (error.code !== 'truncated' || size >= object.bytes || head.length < size) throw error
      if (size >= limits.maxHeadBytes)
        throw new RaylogError('too-large', `the header is longer than persist.maxHeadBytes (${limits.maxHeadBytes})`)
    }
    size = Math.min(size * 4, limits.maxHeadBytes, object.bytes)
  }
}
