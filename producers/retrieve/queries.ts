/** What we ask peers for, for the audit (PS3.15 A.5.3.10): the names of the keys, never their values. */
import type { AuditTrail } from '../../kafka/audit-trail.ts'
import type { AuditDetail } from '../../schemas/audit.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { Source } from './source.ts'

export interface Asking {
  /** What we call ourselves. */
  actor: string
  /** Whom we ask. */
  detail: Pick<AuditDetail, 'peer' | 'destination' | 'destinationAddress'>
}

const queries = {
  byAccession: ['STUDY', 'AccessionNumber', 'StudyInstanceUID'],
  priors: ['STUDY', 'PatientID', 'IssuerOfPatientID', 'StudyInstanceUID', 'StudyDate', 'ModalitiesInStudy'],
  instances: ['IMAGE', 'StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID', 'SOPClassUID'],
} as const

/** The source, with each query told: of a long list of accession numbers the first, then how many more. */
export function auditedSource(source: Source, trail: Pick<AuditTrail, 'tellOften'>, { actor, detail }: Asking): Source {
  async function told<T>(
    what: keyof typeof queries,
    signal: AbortSignal,
    work: Promise<T>,
    study?: string,
  ): Promise<T> {
    let code: string | undefined
    try {
      return await work
    } catch (thrown) {
      code = signal.aborted ? 'stopping' : toRaylogError(thrown).code
      throw thrown
    } finally {
      const query = queries[what]
      const outcome = code === undefined ? ('success' as const) : ('failure' as const)
      const said = { action: 'query' as const, actor, object: study ?? query[0], outcome, address: '' }
      // Of one who is away nothing was asked.
      if (code !== 'peer-unavailable')
        trail.tellOften({ ...said, detail: { ...detail, study, query: query.join(' '), reason: code } })
    }
  }

  return {
    byAccession: (number, signal) => told('byAccession', signal, source.byAccession(number, signal)),
    priors: (of, signal) => told('priors', signal, source.priors(of, signal)),
    instances: (study, signal) => told('instances', signal, source.instances(study, signal), study),
    fetch: (study, wanted, receive, signal) => source.fetch(study, wanted, receive, signal),
  }
}
