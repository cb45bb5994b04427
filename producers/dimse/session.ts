/** An association that is established: messages out, messages in, and the requests that we make on it ourselves. */

import { type Command, commandField, readCommand, responseBit } from '../../dicom/command.ts'
import type { Incoming, Link } from '../../dicom/link.ts'
import { type AssociateRequest, abortReason, ProtocolError } from '../../dicom/pdu.ts'
import { isCommand, isLast } from '../../dicom/reader.ts'
import { sendMessage } from '../../dicom/send.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Peer } from '../../schemas/peers.ts'
import { DataSet } from './data-set.ts'
import type { AcceptedContext } from './negotiate.ts'
import { type Association, AssociationEnded, type End } from './services/service.ts'

/** Command sets have some 200 bytes. */
const maxCommandBytes = 65_536
/** In how many pieces they may come: empty ones cost nothing to send. */
const maxCommandPieces = 4_096

type Fragment = Extract<Incoming, { kind: 'fragment' }>

/** A request of ours, from the asking to the response. */
interface Asked {
  context: number
  command(messageId: number): Buffer
  dataSet: Buffer
  settle: PromiseWithResolvers<Command>
}

export class Session implements Association {
  readonly calling: string
  readonly called: string
  readonly address: string
  readonly peer: Peer | undefined
  readonly contexts: ReadonlyMap<number, AcceptedContext>
  readonly signal: AbortSignal
  readonly #link: Link
  readonly #stallMs: number
  /** Longest P-DATA-TF that the peer takes, bytes; 0: no limit. */
  readonly #maxLength: number
  readonly #over = new AbortController()
  readonly #waiting: Asked[] = []
  #underWay: (Asked & { id: number }) | undefined
  #lastId = 0

  constructor(
    link: Link,
    request: AssociateRequest,
    { accepted, peer }: { accepted: ReadonlyMap<number, AcceptedContext>; peer: Peer | undefined },
    stallMs: number,
  ) {
    this.calling = request.calling
    this.called = request.called
    this.address = link.address
    this.peer = peer
    this.contexts = accepted
    this.signal = this.#over.signal
    this.#link = link
    this.#maxLength = request.maxLength
    this.#stallMs = stallMs
  }

  async send(context: number, command: Buffer, dataSet?: Buffer | AsyncIterable<Buffer>): Promise<void> {
    const sent = await sendMessage(this.#link, { context, command, dataSet }, this.#maxLength, this.#stallMs)
    if (!sent) throw new AssociationEnded({ kind: 'late' })
  }

  async receive(timeoutMs: number): Promise<Command | undefined> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const left = until - performance.now()
      const what = left > 0 ? await this.#link.take(left) : this.#link.poll()
      if (what === undefined || what.kind === 'late') return undefined
      if (what.kind === 'interrupted') continue
      if (what.kind !== 'fragment') throw new AssociationEnded(what)
      const read = await this.readCommand(what)
      if ('ended' in read) throw new AssociationEnded(read.ended)
      const { command } = read
      if (command.hasDataSet) {
        const data = new DataSet(this.#link, what.context, this.#stallMs)
        if (!(await data.skip()) && data.ended) throw new AssociationEnded(data.ended)
      }
      if (this.answered(command)) continue
      if ((command.field & responseBit) === 0 && command.field !== commandField.cancel)
        throw new ProtocolError(abortReason.unexpectedPdu, 'a request before the one before it is answered')
      return command
    }
  }

  /** The command set that begins with this fragment. @throws ProtocolError */
  async readCommand(first: Fragment): Promise<{ command: Command } | { ended: End }> {
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
      what = await this.#link.take(this.#stallMs)
    }
  }

  async request(
    context: number,
    command: (messageId: number) => Buffer,
    dataSet: Buffer,
    timeoutMs: number,
  ): Promise<Command> {
    if (this.signal.aborted) throw new AssociationEnded({ kind: 'closed' })
    const asked: Asked = { context, command, dataSet, settle: Promise.withResolvers() }
    const timer = setTimeout(() => {
      this.#forget(asked)
      asked.settle.reject(new RaylogError('timed-out', 'the peer did not answer in time'))
    }, timeoutMs)
    this.#waiting.push(asked)
    this.#link.interrupt()
    return asked.settle.promise.finally(() => clearTimeout(timer))
  }

  /** Between two messages of the peer's: sends what we have to ask, one at a time. */
  async sendWaiting(): Promise<void> {
    if (this.#underWay) return
    const next = this.#waiting.shift()
    if (!next) return
    this.#lastId = (this.#lastId % 65_535) + 1
    this.#underWay = { ...next, id: this.#lastId }
    const out = { context: next.context, command: next.command(this.#lastId), dataSet: next.dataSet }
    await sendMessage(this.#link, out, this.#maxLength, this.#stallMs)
  }

  /** @returns whether it was the response to a request of ours */
  answered(command: Command): boolean {
    if ((command.field & responseBit) === 0 || command.respondedTo !== this.#underWay?.id) return false
    if ((command.field & ~responseBit) !== commandField.eventReport) return false
    this.#underWay.settle.resolve(command)
    this.#underWay = undefined
    return true
  }

  #forget(asked: Asked): void {
    const at = this.#waiting.indexOf(asked)
    if (at >= 0) this.#waiting.splice(at, 1)
    if (this.#underWay?.settle === asked.settle) this.#underWay = undefined
  }

  /** The association has ended: who waits for a response hears it. */
  over(): void {
    this.#over.abort()
    const left = [...this.#waiting.splice(0), ...(this.#underWay ? [this.#underWay] : [])]
    this.#underWay = undefined
    for (const { settle } of left) settle.reject(new AssociationEnded({ kind: 'closed' }))
  }
}
