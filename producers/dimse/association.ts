/**
 * One association, from the connection to its end (PS3.8 9.2, the acceptor's side):
 *
 *   connected ──A-ASSOCIATE-RQ──▶ established ⇄ message ──A-RELEASE-RQ──▶ closing ──▶ closed
 *       │ ARTIM, refused              │ idle, stopping, protocol error       ▲
 *       └─────────────────────────────┴──────────── A-ASSOCIATE-RJ, A-ABORT ─┘
 *
 * One message at a time: the next is read when this one is answered (asynchronous operations window of 1). Which service
 * answers is told by the command field and the presentation context's abstract syntax.
 */
import type { Logger } from 'pino'
import { commandField, responseBit, status, writeResponse } from '../../dicom/command.ts'
import type { Link } from '../../dicom/link.ts'
import { implementation } from '../../dicom/part10.ts'
import {
  type AssociateRequest,
  abortReason,
  ProtocolError,
  pdu,
  readAssociateRequest,
  writeAbort,
  writeAssociateAccept,
  writeReject,
  writeReleaseResponse,
} from '../../dicom/pdu.ts'
import type { Peer } from '../../schemas/peers.ts'
import type { Admitted, Caller, ShownCertificate } from './admission.ts'
import { DataSet } from './data-set.ts'
import { type NegotiationRules, negotiate, type Rejection } from './negotiate.ts'
import {
  type Answer,
  type Association,
  AssociationEnded,
  type End,
  type Message,
  type Service,
} from './services/service.ts'
import { Session } from './session.ts'

export interface AssociationOptions extends NegotiationRules {
  /** Announced: the longest P-DATA-TF that we take, bytes. */
  maxPduBytes: number
  /** For an association request after the connection, and for the peer's end of it after the association's, ms. */
  artimMs: number
  /** Between messages, ms. */
  idleMs: number
  /** Between two pieces of one message, ms. */
  stallMs: number
  logger: Logger
  /** Who shows a certificate over TLS, and a good one. */
  certificate?: ShownCertificate | undefined
  /** Who the caller is and what they may do, or why they may not. */
  identify(caller: Caller): Admitted | Rejection
  /** Takes one of the places for associations, or says why not. */
  admit(peer: Peer | undefined, caller: Caller): Rejection | undefined
  /** Told of each association that was asked for. */
  observer: AssociationObserver
  stopping(): boolean
  /** By command field. */
  services: ReadonlyMap<number, Service>
}

export interface AssociationObserver {
  opened(association: Association): void
  rejected(request: Pick<AssociateRequest, 'calling' | 'called'>, address: string, because: string): void
}

/** Talks until the association has ended one way or the other, then sees to it that the connection goes. Never throws. */
export async function serveAssociation(link: Link, options: AssociationOptions): Promise<void> {
  let session: Session | undefined
  try {
    session = await establish(link, options)
    if (session) await serveMessages(link, session, options)
  } catch (thrown) {
    const broken = thrown instanceof ProtocolError
    if (broken) options.logger.info({ peer: link.address, reason: thrown.message }, 'association aborted')
    else options.logger.error({ err: thrown }, 'association aborted by a fault of ours')
    link.finish(writeAbort(broken ? thrown.reason : abortReason.notSpecified))
  }
  session?.over()
  await letGo(link, options.artimMs)
}

async function establish(link: Link, options: AssociationOptions): Promise<Session | undefined> {
  const first = await link.take(options.artimMs)
  if (first.kind === 'late' || first.kind === 'closed') return undefined
  if (first.kind === 'interrupted') return void link.finish()
  if (first.kind === 'broken') throw first.error
  if (first.kind !== 'pdu' || first.type !== pdu.associateRq)
    throw new ProtocolError(abortReason.unexpectedPdu, 'not an association request')
  const request = readAssociateRequest(first.body)
  const outcome = decide(request, link.address, options)
  if ('rejected' in outcome) {
    options.observer.rejected(request, link.address, outcome.because)
    options.logger.info(
      { calling: request.calling, peer: link.address, because: outcome.because },
      'association rejected',
    )
    link.finish(writeReject(outcome.rejected))
    return undefined
  }
  link.send(writeAssociateAccept(request, outcome.answers, options.maxPduBytes, implementation, outcome.roles))
  const session = new Session(link, request, outcome, options.stallMs)
  // Also while a service is at work: what waits for its turn on behalf of who is gone waits no longer.
  void link.closed.then(() => session.over())
  options.observer.opened(session)
  return session
}

function decide(request: AssociateRequest, address: string, options: AssociationOptions) {
  const caller = { aeTitle: request.calling, address, certificate: options.certificate }
  const admitted = options.identify(caller)
  if ('rejected' in admitted) return admitted
  const { peer, permits } = admitted
  const negotiated = negotiate(request, options, permits)
  if ('rejected' in negotiated) return negotiated
  return options.admit(peer, caller) ?? { ...negotiated, peer }
}

async function serveMessages(link: Link, session: Session, options: AssociationOptions): Promise<void> {
  for (;;) {
    if (options.stopping()) return void link.finish(writeAbort(abortReason.notSpecified))
    await session.sendWaiting()
    const what = await link.take(options.idleMs)
    if (what.kind === 'interrupted') continue
    if (what.kind !== 'fragment') return endOf(link, what)
    const read = await session.readCommand(what)
    if ('ended' in read) return endOf(link, read.ended)
    const context = session.contexts.get(what.context)
    if (!context) throw new ProtocolError(abortReason.invalidParameter, 'a message on a context that was not accepted')
    const { command } = read
    const data = command.hasDataSet ? new DataSet(link, what.context, options.stallMs) : undefined
    const ended = await serveMessage(session, { id: what.context, context, command, data }, options.services)
    if (ended) return endOf(link, ended)
  }
}

/** The association ends: answered where the peer asked for it, aborted where it broke the rules or is silent. */
function endOf(link: Link, what: End): void {
  if (what.kind === 'broken') throw what.error
  if (what.kind === 'late')
    throw new ProtocolError(abortReason.notSpecified, 'nothing, or too little, came for too long')
  if (what.kind !== 'pdu') return
  if (what.type === pdu.releaseRq) link.finish(writeReleaseResponse())
  else if (what.type === pdu.abort) link.finish()
  else throw new ProtocolError(abortReason.unexpectedPdu, `PDU of type ${what.type} within an association`)
}

/** @returns why the connection cannot go on, where it cannot */
async function serveMessage(
  session: Session,
  message: Omit<Message, 'association'>,
  services: AssociationOptions['services'],
): Promise<End | undefined> {
  const { id, context, command, data } = message
  let answer: Answer | undefined
  try {
    // A C-CANCEL that comes when all is answered has come too late (PS3.7 9.3.2.3).
    if ((command.field & responseBit) !== 0) session.answered(command)
    else if (command.field !== commandField.cancel) {
      const service = services.get(command.field)
      if (!service) answer = { code: status.unrecognizedOperation }
      else if (!service.takes(context.abstractSyntax)) answer = { code: status.sopClassNotSupported }
      else answer = await service.serve({ association: session, ...message })
    }
    if (data && !(await data.skip())) return data.ended
    if (!answer) return undefined
    const { code, dataSet } = answer
    await session.send(id, writeResponse(command, code, { ...answer, hasDataSet: dataSet !== undefined }), dataSet)
    return undefined
  } catch (thrown) {
    if (thrown instanceof AssociationEnded) return thrown.end
    throw thrown
  }
}

/** After the association's end the peer closes; if it does not within ARTIM, we do. */
async function letGo(link: Link, artimMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, artimMs)
  })
  await Promise.race([link.closed, late])
  clearTimeout(timer)
  link.destroy()
}
