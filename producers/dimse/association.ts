/**
 * One association, from the connection to its end (PS3.8 9.2, the acceptor's side):
 *
 *   connected ──A-ASSOCIATE-RQ──▶ established ⇄ message ──A-RELEASE-RQ──▶ closing ──▶ closed
 *       │ ARTIM, refused              │ idle, stopping, protocol error       ▲
 *       └─────────────────────────────┴──────────── A-ASSOCIATE-RJ, A-ABORT ─┘
 *
 * One message at a time: the next is read when this one is answered (asynchronous operations window of 1).
 */
import type { Logger } from 'pino'
import { toRaylogError } from '../../schemas/errors.ts'
import { type Command, commandField, readCommand, status, writeResponse } from '../dicom-command.ts'
import type { Incoming, Link } from '../dicom-link.ts'
import {
  abortReason,
  ProtocolError,
  pdu,
  readAssociateRequest,
  writeAbort,
  writeAssociateAccept,
  writeCommandPdus,
  writeReject,
  writeReleaseResponse,
} from '../dicom-pdu.ts'
import { isCommand, isLast } from '../dicom-reader.ts'
import { implementation } from '../part10.ts'
import { DataSet } from './data-set.ts'
import { type AcceptedContext, type NegotiationRules, negotiate, type Rejection } from './negotiate.ts'
import { verification } from './syntaxes.ts'

export interface StoreRequest {
  calling: string
  sopClass: string
  sopInstance: string
  transferSyntax: string
  dataSet: AsyncIterable<Buffer>
}

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
  /** Takes one of the places for associations, or says why not. */
  admit(): Rejection | undefined
  stopping(): boolean
  /** Resolves when the image is kept. @throws RaylogError; then the sender is told its status */
  store(request: StoreRequest): Promise<void>
}

interface Association {
  calling: string
  contexts: Map<number, AcceptedContext>
  /** Longest P-DATA-TF that the peer takes, bytes; 0: no limit. */
  maxLength: number
}

/** Command sets have some 200 bytes. */
const maxCommandBytes = 65_536
/** In how many pieces they may come: empty ones cost nothing to send. */
const maxCommandPieces = 4_096

/** Talks until the association has ended one way or the other, then sees to it that the connection goes. Never throws. */
export async function serveAssociation(link: Link, options: AssociationOptions): Promise<void> {
  try {
    const association = await establish(link, options)
    if (association) await serveMessages(link, association, options)
  } catch (thrown) {
    const broken = thrown instanceof ProtocolError
    if (broken) options.logger.info({ peer: link.address, reason: thrown.message }, 'association aborted')
    else options.logger.error({ err: thrown }, 'association aborted by a fault of ours')
    link.finish(writeAbort(broken ? thrown.reason : abortReason.notSpecified))
  }
  await letGo(link, options.artimMs)
}

async function establish(link: Link, options: AssociationOptions): Promise<Association | undefined> {
  const first = await link.take(options.artimMs)
  if (first.kind === 'late' || first.kind === 'closed') return undefined
  if (first.kind === 'interrupted') return void link.finish()
  if (first.kind === 'broken') throw first.error
  if (first.kind !== 'pdu' || first.type !== pdu.associateRq)
    throw new ProtocolError(abortReason.unexpectedPdu, 'not an association request')
  const request = readAssociateRequest(first.body)
  const negotiated = negotiate(request, options)
  const outcome = 'rejected' in negotiated ? negotiated : (options.admit() ?? negotiated)
  if ('rejected' in outcome) {
    options.logger.info(
      { calling: request.calling, peer: link.address, because: outcome.because },
      'association rejected',
    )
    link.finish(writeReject(outcome.rejected))
    return undefined
  }
  link.send(writeAssociateAccept(request, outcome.answers, options.maxPduBytes, implementation))
  return { calling: request.calling, contexts: outcome.accepted, maxLength: request.maxLength }
}

async function serveMessages(link: Link, association: Association, options: AssociationOptions): Promise<void> {
  for (;;) {
    if (options.stopping()) return void link.finish(writeAbort(abortReason.notSpecified))
    const what = await link.take(options.idleMs)
    if (what.kind === 'interrupted') continue
    if (what.kind !== 'fragment') return endOf(link, what)
    const read = await readWholeCommand(link, what, options.stallMs)
    if ('ended' in read) return endOf(link, read.ended)
    const context = association.contexts.get(what.context)
    if (!context) throw new ProtocolError(abortReason.invalidParameter, 'a message on a context that was not accepted')
    const ended = await serveMessage(link, association, what.context, context, read.command, options)
    if (ended) return endOf(link, ended)
  }
}

type End = Exclude<Incoming, { kind: 'fragment' }>

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

async function readWholeCommand(
  link: Link,
  first: Extract<Incoming, { kind: 'fragment' }>,
  stallMs: number,
): Promise<{ command: Command } | { ended: End }> {
  const parts: Buffer[] = []
  let size = 0
  let what: Incoming = first
  for (;;) {
    if (what.kind === 'fragment') {
      if (!isCommand(what.flags) || what.context !== first.context)
        throw new ProtocolError(abortReason.unexpectedPdu, 'a data set without a command before it')
      parts.push(what.bytes)
      size += what.bytes.length
      if (size > maxCommandBytes || parts.length > maxCommandPieces)
        throw new ProtocolError(abortReason.invalidParameter, 'a command set that is too long')
      if (what.done && isLast(what.flags)) return { command: readCommand(Buffer.concat(parts)) }
    } else if (what.kind !== 'interrupted') return { ended: what }
    what = await link.take(stallMs)
  }
}

/** @returns why the connection cannot go on, where it cannot */
async function serveMessage(
  link: Link,
  association: Association,
  id: number,
  context: AcceptedContext,
  command: Command,
  options: AssociationOptions,
): Promise<End | undefined> {
  const data = command.hasDataSet ? new DataSet(link, id, options.stallMs) : undefined
  const answer = (code: number, comment?: string) =>
    link.send(writeCommandPdus(id, writeResponse(command, code, comment), association.maxLength))
  if (command.field === commandField.store && context.abstractSyntax !== verification) {
    const failure = await tryStore(association, context, command, data, options)
    if (data && !(await data.skip())) return data.ended
    if (failure) answer(failure.code, failure.comment)
    else answer(status.success)
    return undefined
  }
  if (data && !(await data.skip())) return data.ended
  if (command.field === commandField.cancel) return undefined
  if (command.field === commandField.echo) answer(status.success)
  else if (command.field === commandField.store) answer(status.sopClassNotSupported)
  else answer(status.unrecognizedOperation)
  return undefined
}

async function* nothing(): AsyncGenerator<Buffer> {}

/** @returns what the sender is told, where it failed */
async function tryStore(
  { calling }: Association,
  { abstractSyntax, transferSyntax }: AcceptedContext,
  { sopClass, sopInstance }: Command,
  data: DataSet | undefined,
  options: AssociationOptions,
): Promise<{ code: number; comment: string } | undefined> {
  if (sopClass !== abstractSyntax)
    return { code: status.sopClassNotSupported, comment: 'SOP class is not that of the presentation context' }
  try {
    const dataSet = data?.bytes() ?? nothing()
    await options.store({ calling, sopClass, sopInstance, transferSyntax, dataSet })
    return undefined
  } catch (thrown) {
    const error = toRaylogError(thrown)
    options.logger.warn({ calling, code: error.code, reason: error.message }, 'image refused')
    return { code: error.entry.dimse, comment: `${error.code}: ${error.message}` }
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
