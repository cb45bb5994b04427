/** What a DIMSE service is: one operation, served over the association on which it is asked for. */

import type { Command, ResponseDetails } from '../../../dicom/command.ts'
import type { Incoming } from '../../../dicom/link.ts'
import type { Peer } from '../../../schemas/peers.ts'
import type { DataSet } from '../data-set.ts'
import type { AcceptedContext } from '../negotiate.ts'

/** What ends an association: the peer's release or abort, a broken protocol, silence. */
export type End = Exclude<Incoming, { kind: 'fragment' | 'interrupted' }>

/** Thrown out of a service when the association ends while it is at work. */
export class AssociationEnded extends Error {
  readonly end: End
  constructor(end: End) {
    super(`the association ended: ${end.kind}`)
    this.name = 'AssociationEnded'
    this.end = end
  }
}

/** The association, as a service sees it. */
export interface Association {
  readonly calling: string
  readonly called: string
  /** The peer's, without its port. */
  readonly address: string
  /** Who it is by the settings; undefined for one that they do not name. */
  readonly peer: Peer | undefined
  readonly contexts: ReadonlyMap<number, AcceptedContext>
  /** Aborted when the association is over. */
  readonly signal: AbortSignal
  /**
   * Sends a command set, and the data set after it where there is one. Resolves when the peer has taken most of it.
   * @throws AssociationEnded where the peer does not read
   */
  send(context: number, command: Buffer, dataSet?: Buffer | AsyncIterable<Buffer>): Promise<void>
  /**
   * The next message while a service is at work, its data set read past; undefined when none came in `timeoutMs`, 0: at once.
   * @throws AssociationEnded
   */
  receive(timeoutMs: number): Promise<Command | undefined>
  /**
   * A request of ours between two messages of the peer's. Resolves with the response.
   * @param command gets the message id. @throws AssociationEnded, RaylogError timed-out
   */
  request(context: number, command: (messageId: number) => Buffer, dataSet: Buffer, timeoutMs: number): Promise<Command>
}

export interface Message {
  readonly association: Association
  /** Of the presentation context. */
  readonly id: number
  readonly context: AcceptedContext
  readonly command: Command
  /** Undefined where the command says that there is none. */
  readonly data: DataSet | undefined
}

/** The final response: a status, and what goes with it. */
export interface Answer extends Omit<ResponseDetails, 'hasDataSet'> {
  code: number
  dataSet?: Buffer | undefined
}

export interface Service {
  readonly field: number
  /** Whether the operation belongs to contexts of this abstract syntax. */
  takes(abstractSyntax: string): boolean
  /** Whatever of the data set it leaves is read past before the answer goes out. @throws AssociationEnded, ProtocolError */
  serve(message: Message): Promise<Answer>
}
