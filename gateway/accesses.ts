/** Who looked at what over HTTP, for the audit: searches by the names of their keys, objects and pictures by study and patient. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AuditTrail } from '../kafka/audit-trail.ts'
import { type AuditAction, type AuditDetail, tokenHolder, writeSopClasses } from '../schemas/audit.ts'
import type { RetrievalDoc } from '../schemas/retrieval.ts'

/** An image that somebody asks for. */
export interface Seen {
  /** Study Instance UID, or the study's id where it has none. */
  study: string
  /** Pseudonym. */
  patient: string | null
  sopClass: string
}

export interface AccessAudit {
  /** @param query level and names of keys */
  queried(request: FastifyRequest, level: string, query: string, study: string | undefined): void
  /** Whole objects go out with this answer: told when they begin to, and when the answer is over. */
  sending(request: FastifyRequest, reply: FastifyReply, images: readonly Seen[]): void
  /** A URL of the object store goes out in place of an image: that it begins is all that is known here. */
  handedOver(request: FastifyRequest, reply: FastifyReply, image: Seen, seconds: number): void
  /** A report goes out with this answer: told when the answer is over. */
  exported(request: FastifyRequest, reply: FastifyReply, what: Omit<Seen, 'sopClass'> & { report: string }): void
  /** A picture, pixels or attributes are looked at: a viewer asks for hundreds of a study, so it is told once in a while. */
  viewed(request: FastifyRequest, image: Seen): void
  /** Somebody has studies pulled from a peer. */
  retrievalAsked(request: FastifyRequest, retrieval: RetrievalDoc): void
  /** Somebody has that pause, go on or end. */
  retrievalChanged(request: FastifyRequest, retrieval: RetrievalDoc, action: string): void
  /** Somebody reads the audit itself. */
  read(request: FastifyRequest): void
  /** A request without the token, or with another. */
  refused(request: FastifyRequest): void
}

export function createAccessAudit(trail: AuditTrail): AccessAudit {
  const said = (action: AuditAction, request: FastifyRequest, object: string, detail: AuditDetail) => ({
    ...{ action, actor: tokenHolder, object, outcome: 'success' as const, address: request.ip, detail },
  })
  return {
    queried: (request, level, query, study) => trail.tell(said('query', request, study ?? level, { query, study })),
    sending(request, reply, images) {
      const studies = [...Map.groupBy(images, ({ study }) => study)].map(([study, all]) => {
        const sopClasses = new Map<string, number>()
        for (const { sopClass } of all) sopClasses.set(sopClass, (sopClasses.get(sopClass) ?? 0) + 1)
        return { study, patient: all[0]?.patient ?? undefined, sopClasses: writeSopClasses(sopClasses) }
      })
      for (const { study, patient } of studies)
        trail.tell(said('instances-sending', request, study, { study, patient }))
      whenOver(reply, ended => {
        for (const { study, ...detail } of studies)
          trail.tell({
            ...said('instances-sent', request, study, { study, ...detail, ...reasonOf(ended) }),
            outcome: ended,
          })
      })
    },
    handedOver: (request, reply, { study, patient }, seconds) =>
      whenOver(reply, ended => {
        const reason = `by a signed URL of the object store, good for ${seconds} s`
        const detail = { study, patient: patient ?? undefined, reason }
        if (ended === 'success') trail.tell(said('instances-sending', request, study, detail))
      }),
    exported: (request, reply, { study, patient, report }) =>
      whenOver(reply, ended => {
        const detail = { study, patient: patient ?? undefined, report, ...reasonOf(ended) }
        trail.tell({ ...said('export', request, study, detail), outcome: ended })
      }),
    viewed: (request, { study, patient }) =>
      trail.tellOften(said('instances-accessed', request, study, { study, patient: patient ?? undefined })),
    retrievalAsked(request, { id, peer, studies, asked: { accessionNumbers, priors } }) {
      const one = studies.length === 1 && accessionNumbers === 0 && !priors ? studies[0] : undefined
      const reason = [
        ...(studies.length > 0 ? [`${studies.length} studies`] : []),
        ...(accessionNumbers > 0 ? [`${accessionNumbers} accession numbers`] : []),
        ...(priors ? ['priors of a patient'] : []),
      ].join(', ')
      trail.tell(said('retrieval-asked', request, id, { peer, study: one, reason }))
    },
    retrievalChanged: (request, { id, peer }, action) =>
      trail.tell(said('retrieval-changed', request, id, { peer, reason: action })),
    read: request => trail.tell(said('audit-log-used', request, '/api/v1/audit', {})),
    refused: request =>
      trail.tellOften({
        ...said('security-alert', request, request.routeOptions.url ?? 'unknown', {
          reason: request.headers.authorization === undefined ? 'no token' : 'not the token',
        }),
        ...{ actor: '(none)', outcome: 'failure' },
      }),
  }
}

/** Not told where the client had it already. */
function whenOver(reply: FastifyReply, tell: (ended: 'success' | 'failure') => void): void {
  reply.raw.once('close', () => {
    if (reply.statusCode !== 304) tell(reply.raw.writableFinished && reply.statusCode < 400 ? 'success' : 'failure')
  })
}

const reasonOf = (ended: 'success' | 'failure') => (ended === 'success' ? {} : { reason: 'the answer was broken off' })
