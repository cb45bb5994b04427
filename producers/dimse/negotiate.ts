/** Whether an association is accepted, and what for (PS3.8 7.1, 9.3.3, 9.3.4). */
import {
  type AnsweredContext,
  type AssociateRequest,
  abortReason,
  applicationContext,
  contextResult,
  ProtocolError,
  type Roles,
  reject,
} from '../../dicom/pdu.ts'
import { commitmentClass, plainSyntaxes } from './sop-classes.ts'
import { isStorageClass, transferSyntaxes, verification } from './syntaxes.ts'

export interface NegotiationRules {
  aeTitle: string
  strictAeTitle: boolean
  privateSopClasses: boolean
  /** SOP classes beside those of images (sop-classes.ts). */
  offered: ReadonlySet<string>
}

export interface AcceptedContext {
  abstractSyntax: string
  transferSyntax: string
  /** The peer takes images on it, as C-GET sends them. */
  peerIsScp: boolean
}

export interface Rejection {
  /** Result, source and reason. */
  rejected: readonly [number, number, number]
  because: string
}

export interface Acceptance {
  answers: AnsweredContext[]
  accepted: Map<number, AcceptedContext>
  /** Those that the peer proposed, as far as they make sense; without a proposal the peer is SCU (PS3.7 D.3.3.4). */
  roles: Map<string, Roles>
}

export type Negotiated = Rejection | Acceptance

/**
 * @param permits what this caller may ask for, of what anyone may
 * @throws ProtocolError where the proposal contradicts itself
 */
export function negotiate(
  request: AssociateRequest,
  rules: NegotiationRules,
  permits: (abstractSyntax: string) => boolean = () => true,
): Negotiated {
  // Bit 0 is version 1; the others are for versions that do not exist (PS3.8 table 9-11).
  if ((request.protocolVersion & 1) === 0)
    return { rejected: reject.protocolVersion, because: 'protocol version is not 1' }
  if (request.applicationContext !== applicationContext)
    return { rejected: reject.applicationContext, because: 'application context is not DICOM' }
  if (rules.strictAeTitle && request.called !== rules.aeTitle)
    return { rejected: reject.calledAeUnknown, because: 'called AE title is not ours' }
  const accepted = new Map<number, AcceptedContext>()
  const seen = new Set<number>()
  const roles = new Map<string, Roles>()
  const answers = request.contexts.map(({ id, abstractSyntax, transferSyntaxes: proposed }) => {
    if (id % 2 === 0 || seen.has(id))
      throw new ProtocolError(abortReason.invalidParameter, 'presentation context ids must be odd and each its own')
    seen.add(id)
    const refused = (result: number) => ({ id, result, transferSyntax: proposed[0] ?? '' })
    const stores = isStorageClass(abstractSyntax, rules.privateSopClasses)
    const asks = rules.offered.has(abstractSyntax)
    if (abstractSyntax !== verification && !asks && !stores) return refused(contextResult.abstractSyntaxNotSupported)
    if (!permits(abstractSyntax)) return refused(contextResult.userRejection)
    // The first that we know, in the proposer's order: it is the one that costs the sender least.
    const known = asks ? plainSyntaxes : transferSyntaxes
    const transferSyntax = proposed.find(candidate => known.has(candidate))
    if (transferSyntax === undefined) return refused(contextResult.transferSyntaxesNotSupported)
    const proposal = request.roles.get(abstractSyntax)
    const peerIsScp = stores && proposal?.scp === true
    // One that we asked for storage commitment reports as its SCP (PS3.4 J.2).
    const reports = abstractSyntax === commitmentClass && proposal?.scp === true
    if (proposal) roles.set(abstractSyntax, { scu: proposal.scu, scp: peerIsScp || reports })
    accepted.set(id, { abstractSyntax, transferSyntax, peerIsScp })
    return { id, result: contextResult.accepted, transferSyntax }
  })
  return { answers, accepted, roles }
}
