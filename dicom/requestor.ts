/** The requestor's side of an association (PS3.8 9.2): opens it, asks one thing at a time, and releases it. */
import type { Socket } from 'node:net'
import { RaylogError } from '../schemas/errors.ts'
import { type Command, commandField, readCommand, responseBit, status, writeResponse } from './command.ts'
import { createLink, type Incoming, type Link } from './link.ts'
import { implementation } from './part10.ts'
import {
  type AssociateAccept,
  contextResult,
  pdu,
  type Roles,
  readAssociateAccept,
  writeAbort,
  writeAssociateRequest,
  writeCommandPdus,
  writePdu,
} from './pdu.ts'
import { isCommand, isLast } from './reader.ts'
import { sendMessage } from './send.ts'

export interface ProposedSyntaxes {
  abstractSyntax: string
  /** In our order. */
  transferSyntaxes: readonly string[]
}

export interface RequestorOptions {
  called: string
  calling: string
  /** 128 at most. */
  contexts: readonly ProposedSyntaxes[]
  roles?: ReadonlyMap<string, Roles>
  /** For the association, ms. */
  associateMs: number
  /** For an answer, and for the peer to read what it is sent, ms. */
  answerMs: number
  /** Takes what the peer stores while it answers a C-GET (PS3.4 C.4.3); without it none is taken. */
  store?: StoreSubOperation
}

/** Resolves with the status of the C-STORE response. May leave the data set before its end; must not throw. */
export type StoreSubOperation = (request: {
  sopClass: string
  sopInstance: string
  transferSyntax: string
  dataSet: AsyncGenerator<Buffer, void, undefined>
}) => Promise<{ code: number; comment?: string | undefined }>

export interface UsableContext {
  id: number
  abstractSyntax: string
  transferSyntax: string
}

export interface Response {
  command: Command
  /** Its data set, where it has one. */
  data: Buffer | undefined
}

export interface Requestor {
  /** Those that the peer accepted. */
  readonly contexts: readonly UsableContext[]
  /**
   * Sends a request. Yields the responses as they come: those that are pending, and the final one.
   * @param command gets the message id. @throws RaylogError delivery-failed; then the association is of no more use
   */
  responses(
    context: UsableContext,
    command: (messageId: number) => Buffer,
    dataSet?: Buffer | AsyncIterable<Buffer>,
  ): AsyncGenerator<Response, void, undefined>
  /** As `responses`, of an operation that has but one. */
  request(
    context: UsableContext,
    command: (messageId: number) => Buffer,
    dataSet?: Buffer | AsyncIterable<Buffer>,
  ): Promise<Command>
  /** Sends a command that has no response: a C-CANCEL. */
  send(context: UsableContext, command: Buffer): void
  /** Ends in order. Never throws. */
  release(): Promise<void>
  /** Ends at once. */
  abort(): void
}

const maxPduBytes = 131_072
/** Most presentation contexts in an association: their ids are odd, up to 255 (PS3.8 9.3.2.2). */
export const maxContexts = 128
/** Answers to queries and lists of failed instances; more would be held in memory. Bytes. */
const maxDataSetBytes = 16 * 1024 * 1024
const releaseMs = 5_000

const failure = (message: string) => new RaylogError('delivery-failed', message)

function unexpected(what: Incoming): RaylogError {
  if (what.kind === 'broken') return failure(what.error.message)
  if (what.kind === 'late') return failure('no answer in time')
  if (what.kind === 'pdu' && what.type === pdu.associateRj)
    return failure(`the association was rejected: ${what.body.subarray(1, 4).join(', ')}`)
  if (what.kind === 'pdu' && what.type === pdu.abort)
    return failure(`the association was aborted: ${what.body.subarray(2, 4).join(', ')}`)
  return failure(`the connection ended without an answer: ${what.kind}`)
}

/** One message of the peer's. @throws RaylogError delivery-failed */
async function readMessage(link: Link, timeoutMs: number, mayStore: boolean): Promise<Read> {
  const parts: { command: Buffer[]; data: Buffer[] } = { command: [], data: [] }
  let command: Command | undefined
  for (let size = 0; ; ) {
    const what = await link.take(timeoutMs)
    if (what.kind === 'interrupted') continue
    if (what.kind !== 'fragment') throw unexpected(what)
    if (isCommand(what.flags) !== (command === undefined)) throw failure('fragments of two messages at once')
    size += what.bytes.length
    if (size > maxDataSetBytes) throw failure('an answer that is too long')
    ;(command ? parts.data : parts.command).push(what.bytes)
    if (!what.done || !isLast(what.flags)) continue
    if (command) return { command, data: Buffer.concat(parts.data) }
    command = readCommand(Buffer.concat(parts.command))
    if (!command.hasDataSet) return { command, data: undefined }
    // An image is as large as it is, and is handed on as it comes.
    if (mayStore && command.field === commandField.store)
      return {
        command,
        data: undefined,
        stores: { context: what.context, dataSet: dataOf(link, what.context, timeoutMs) },
      }
  }
}

type Read = Response & { stores?: { context: number; dataSet: AsyncGenerator<Buffer, void, undefined> } }

/** The data set of a message, fragment by fragment. @throws RaylogError delivery-failed */
async function* dataOf(link: Link, context: number, timeoutMs: number): AsyncGenerator<Buffer, void, undefined> {
  for (;;) {
    const what = await link.take(timeoutMs)
    if (what.kind === 'interrupted') continue
    if (what.kind !== 'fragment') throw unexpected(what)
    if (isCommand(what.flags) || what.context !== context) throw failure('fragments of two messages at once')
    if (what.bytes.length > 0) yield what.bytes
    if (what.done && isLast(what.flags)) return
  }
}

/** The same, read to its end even where its reader leaves early. */
function whole(fragments: AsyncGenerator<Buffer, void, undefined>) {
  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    for (let next = await fragments.next(); !next.done; next = await fragments.next()) yield next.value
  }
  return {
    bytes: bytes(),
    async skip() {
      while (!(await fragments.next()).done);
    },
  }
}

/**
 * Associates over a connection, which belongs to the requestor from now on.
 * @throws RaylogError delivery-failed, and the connection is closed
 */
export async function associate(socket: Socket, options: RequestorOptions): Promise<Requestor> {
  const link = createLink(socket, maxPduBytes)
  try {
    const proposed = options.contexts.slice(0, maxContexts).map(({ abstractSyntax, transferSyntaxes }, index) => ({
      id: 2 * index + 1,
      abstractSyntax,
      transferSyntaxes: [...transferSyntaxes],
    }))
    const { called, calling, roles = new Map() } = options
    link.send(
      writeAssociateRequest({ called, calling, contexts: proposed, maxLength: maxPduBytes, roles }, implementation),
    )
    const answer = await link.take(options.associateMs)
    if (answer.kind !== 'pdu' || answer.type !== pdu.associateAc) throw unexpected(answer)
    const accept = readAssociateAccept(answer.body)
    const syntaxes = new Map(proposed.map(({ id, abstractSyntax }) => [id, abstractSyntax]))
    return requestor(link, accept, usable(accept, syntaxes), options)
  } catch (thrown) {
    link.destroy()
    throw thrown instanceof RaylogError ? thrown : failure(String(thrown))
  }
}

function usable({ contexts }: AssociateAccept, syntaxes: ReadonlyMap<number, string>): UsableContext[] {
  return contexts.flatMap(({ id, result, transferSyntax }) => {
    const abstractSyntax = syntaxes.get(id)
    return result === contextResult.accepted && abstractSyntax ? [{ id, abstractSyntax, transferSyntax }] : []
  })
}

function requestor(
  link: Link,
  { maxLength }: AssociateAccept,
  contexts: UsableContext[],
  { answerMs, store }: Pick<RequestorOptions, 'answerMs' | 'store'>,
): Requestor {
  let lastId = 0

  async function takeImage(command: Command, stores: NonNullable<Read['stores']>): Promise<void> {
    const { sopClass, sopInstance } = command
    const context = contexts.find(({ id }) => id === stores.context)
    if (!context || !store) throw failure('an image that was not asked for')
    const { bytes, skip } = whole(stores.dataSet)
    const { code, comment } = await store({
      ...{ sopClass, sopInstance },
      transferSyntax: context.transferSyntax,
      dataSet: bytes,
    })
    await skip()
    link.send(writeCommandPdus(context.id, writeResponse(command, code, { comment }), maxLength))
  }

  async function* responses(
    { id }: UsableContext,
    command: (messageId: number) => Buffer,
    dataSet?: Buffer | AsyncIterable<Buffer>,
  ): AsyncGenerator<Response, void, undefined> {
    lastId = (lastId % 65_535) + 1
    const messageId = lastId
    if (!(await sendMessage(link, { context: id, command: command(messageId), dataSet }, maxLength, answerMs)))
      throw failure('the peer is gone, or reads nothing')
    for (;;) {
      const { stores, ...response } = await readMessage(link, answerMs, store !== undefined)
      if (stores) {
        await takeImage(response.command, stores)
        continue
      }
      const { field, respondedTo } = response.command
      if ((field & responseBit) === 0 || respondedTo !== messageId) throw failure('an answer to something else')
      yield response
      if ((response.command.status & 0xfffe) !== status.pending) return
    }
  }

  return {
    contexts,
    responses,
    send: ({ id }, command) => link.send(writeCommandPdus(id, command, maxLength)),
    async request(context, command, dataSet) {
      for await (const response of responses(context, command, dataSet)) return response.command
      throw failure('no answer')
    },
    async release() {
      link.send(writePdu(pdu.releaseRq, Buffer.alloc(4)))
      await link.take(releaseMs)
      link.finish()
      link.destroy()
    },
    abort() {
      link.finish(writeAbort(0))
      link.destroy()
    },
  }
}
