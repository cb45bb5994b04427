/** Keeps images of a study: what their headers say, the study that they make, and the line of it in the worklist. */
import type { Logger } from 'pino'
import type { Ports } from '../../kafka/ports.ts'
import { allToTheirEnd } from '../../schemas/errors.ts'
import type { Instance } from '../../schemas/topics.ts'
import { type Indexed, indexInstances } from './dicom-index.ts'
import { type HeadLimits, type patientKeeper, readHead } from './patients.ts'
import { mergeStudy } from './studies.ts'
import { keepLine, withImage } from './worklist.ts'

export interface InstanceOptions {
  ports: Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>
  limits: HeadLimits
  keepPatient: ReturnType<typeof patientKeeper>
  logger: Logger
}

/** Heads that are read at once for one study, of which many may be in hand: others want the disk and the memory too. */
const headsAtOnce = 2

/**
 * @returns a function that keeps images of one study, in the order in which they came; twice is once. Not to be called again for
 *   a study before it is through with it: what it knows of the study it reads first and writes last
 */
export function instanceKeeper({ ports, limits, keepPatient, logger }: InstanceOptions) {
  const { documents, secrets } = ports

  /** Undefined for a plain image. */
  async function read(instance: Instance): Promise<Indexed | undefined> {
    const { dicom, patient, site } = instance
    if (dicom === null) return undefined
    const header = await readHead(ports, limits, instance)
    if (patient !== null) await keepPatient(site, patient, header.patient)
    return { instance, dicom, header }
  }

  async function readAll(instances: readonly Instance[]): Promise<Indexed[]> {
    const found: (Indexed | undefined)[] = []
    for (let at = 0; at < instances.length; at += headsAtOnce) {
      const some = instances.slice(at, at + headsAtOnce).map(read)
      await allToTheirEnd(some)
      found.push(...(await Promise.all(some)))
    }
    return found.filter(one => one !== undefined)
  }

  return async (instances: readonly Instance[]): Promise<void> => {
    const [first] = instances
    if (!first) return
    // First, so that an instance whose object was erased does not come back as a document when the log is read again.
    const [head, ...heads] = await readAll(instances)
    if (head) {
      const others = await indexInstances({ documents, secrets }, [head, ...heads])
      for (const [at, { instance }] of [head, ...heads].entries())
        if (others[at] !== undefined)
          logger.warn(
            { instance: instance.id, first: others[at], source: instance.source },
            'another content of a SOP instance UID',
          )
    }
    const known = await documents.get('studies', first.study)
    // Before the study is: a crash between the two leaves it to be done again.
    const telling = instances.filter((one, at) => (!known && at === 0) || one.priority !== 'routine')
    if (telling.length > 0)
      await keepLine(documents, first.study, line => telling.reduce((kept, one) => withImage(one)(kept), line))
    const study = instances.reduce<ReturnType<typeof mergeStudy> | undefined>(mergeStudy, known)
    await Promise.all([
      documents.upsert('instances', instances),
      ...(study ? [documents.upsert('studies', [study])] : []),
    ])
  }
}
