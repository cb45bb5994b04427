/** PDUs of the DICOM upper layer as they stand on the wire (PS3.8 9.3). Numbers are big endian, names latin1. */

export const pdu = {
  associateRq: 0x01,
  associateAc: 0x02,
  associateRj: 0x03,
  data: 0x04,
  releaseRq: 0x05,
  releaseRp: 0x06,
  abort: 0x07,
} as const

/** Reasons of an A-ABORT by the service provider (PS3.8 table 9-26). */
export const abortReason = {
  notSpecified: 0,
  unrecognizedPdu: 1,
  unexpectedPdu: 2,
  unexpectedParameter: 5,
  invalidParameter: 6,
} as const

/** The peer broke the protocol: it is told with an A-ABORT of this reason, and the connection ends. */
export class ProtocolError extends Error {
  readonly reason: number
  constructor(reason: number, message: string) {
    super(message)
    this.name = 'ProtocolError'
    this.reason = reason
  }
}

export interface ProposedContext {
  /** Odd, 1..255. */
  id: number
  abstractSyntax: string
  /** In the proposer's order. */
  transferSyntaxes: string[]
}

/** Which roles the requestor of an association may play for a SOP class (PS3.7 D.3.3.4). */
export interface Roles {
  scu: boolean
  scp: boolean
}

export interface AssociateRequest {
  protocolVersion: number
  called: string
  calling: string
  /** Called AE, calling AE and reserved fields as received: the answer repeats them. */
  echo: Buffer
  applicationContext: string
  contexts: ProposedContext[]
  /** Longest P-DATA-TF that the peer takes, bytes; 0: no limit. */
  maxLength: number
  /** By SOP class; the requestor is SCU alone of those that are not named. */
  roles: ReadonlyMap<string, Roles>
}

export const applicationContext = '1.2.840.10008.3.1.1.1'

const item = { application: 0x10, context: 0x20, contextAnswer: 0x21, abstract: 0x30, transfer: 0x40, user: 0x50 }
const userItem = { maxLength: 0x51, implementationClass: 0x52, roles: 0x54, implementationVersion: 0x55 }

const text = (bytes: Buffer) =>
  bytes
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .replace(/^ +/, '')

/** Items of type, a reserved byte, length and value; what does not fit is a protocol error. */
function* items(bytes: Buffer): Generator<{ type: number; value: Buffer }> {
  let at = 0
  while (at < bytes.length) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt16BE(at + 2) : Number.POSITIVE_INFINITY
    if (end > bytes.length) throw new ProtocolError(abortReason.invalidParameter, 'an item is longer than its PDU')
    yield { type: bytes.readUInt8(at), value: bytes.subarray(at + 4, end) }
    at = end
  }
}

function readContext(value: Buffer): ProposedContext {
  if (value.length < 4) throw new ProtocolError(abortReason.invalidParameter, 'a presentation context is too short')
  const context: ProposedContext = { id: value.readUInt8(0), abstractSyntax: '', transferSyntaxes: [] }
  for (const { type, value: uid } of items(value.subarray(4))) {
    if (type === item.abstract) context.abstractSyntax = text(uid)
    if (type === item.transfer) context.transferSyntaxes.push(text(uid))
  }
  return context
}

/** @param body an A-ASSOCIATE-RQ after its six bytes of header. @throws ProtocolError */
export function readAssociateRequest(body: Buffer): AssociateRequest {
  if (body.length < 68) throw new ProtocolError(abortReason.invalidParameter, 'the association request is too short')
  const request: AssociateRequest = {
    protocolVersion: body.readUInt16BE(0),
    called: text(body.subarray(4, 20)),
    calling: text(body.subarray(20, 36)),
    echo: Buffer.from(body.subarray(4, 68)),
    applicationContext: '',
    contexts: [],
    maxLength: 0,
    roles: new Map(),
  }
  for (const { type, value } of items(body.subarray(68))) {
    if (type === item.application) request.applicationContext = text(value)
    if (type === item.context) request.contexts.push(readContext(value))
    if (type === item.user) Object.assign(request, readUser(value))
  }
  return request
}

/** User information: no limit of length where it does not say, and no roles. */
function readUser(user: Buffer): { maxLength: number; roles: Map<string, Roles> } {
  const said = { maxLength: 0, roles: new Map<string, Roles>() }
  for (const { type, value } of items(user)) {
    if (type === userItem.maxLength && value.length === 4) said.maxLength = value.readUInt32BE(0)
    if (type !== userItem.roles || value.length < 4) continue
    const end = 2 + value.readUInt16BE(0)
    if (end + 2 > value.length) throw new ProtocolError(abortReason.invalidParameter, 'a role selection is too short')
    said.roles.set(text(value.subarray(2, end)), { scu: value[end] === 1, scp: value[end + 1] === 1 })
  }
  return said
}

/** A whole PDU: type, a reserved byte, length and body. */
export function writePdu(type: number, ...body: Buffer[]): Buffer {
  const header = Buffer.alloc(6)
  header[0] = type
  header.writeUInt32BE(
    body.reduce((sum, part) => sum + part.length, 0),
    2,
  )
  return Buffer.concat([header, ...body])
}

function writeItem(type: number, ...value: Buffer[]): Buffer {
  const header = Buffer.alloc(4)
  header[0] = type
  header.writeUInt16BE(
    value.reduce((sum, part) => sum + part.length, 0),
    2,
  )
  return Buffer.concat([header, ...value])
}

const uid = (type: number, value: string) => writeItem(type, Buffer.from(value, 'latin1'))

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** AE titles have 16 characters, filled with spaces (PS3.8 table 9-11). */
const title = (name: string) => Buffer.from(name.slice(0, 16).padEnd(16), 'latin1')

/** A-ASSOCIATE-RQ (PS3.8 9.3.2) of protocol version 1. */
export function writeAssociateRequest(
  request: Pick<AssociateRequest, 'called' | 'calling' | 'contexts' | 'maxLength'> & Partial<AssociateRequest>,
  implementation: Implementation,
): Buffer {
  return writePdu(
    pdu.associateRq,
    Buffer.from([0, 1, 0, 0]),
    title(request.called),
    title(request.calling),
    Buffer.alloc(32),
    uid(item.application, applicationContext),
    ...request.contexts.map(({ id, abstractSyntax, transferSyntaxes }) =>
      writeItem(
        item.context,
        Buffer.from([id, 0, 0, 0]),
        uid(item.abstract, abstractSyntax),
        ...transferSyntaxes.map(syntax => uid(item.transfer, syntax)),
      ),
    ),
    writeUser(request.maxLength, implementation, request.roles),
  )
}

function writeUser(maxLength: number, implementation: Implementation, roles: ReadonlyMap<string, Roles> = new Map()) {
  return writeItem(
    item.user,
    writeItem(userItem.maxLength, uint32(maxLength)),
    uid(userItem.implementationClass, implementation.classUid),
    ...[...roles].map(([sopClass, { scu, scp }]) =>
      writeItem(
        userItem.roles,
        Buffer.from([0, sopClass.length]),
        Buffer.from(sopClass, 'latin1'),
        Buffer.from([Number(scu), Number(scp)]),
      ),
    ),
    uid(userItem.implementationVersion, implementation.version),
  )
}

export interface AssociateAccept {
  contexts: AnsweredContext[]
  /** Longest P-DATA-TF that the peer takes, bytes; 0: no limit. */
  maxLength: number
  /** What the acceptor made of the roles that were proposed. */
  roles: ReadonlyMap<string, Roles>
}

/** @param body an A-ASSOCIATE-AC after its six bytes of header. @throws ProtocolError */
export function readAssociateAccept(body: Buffer): AssociateAccept {
  if (body.length < 68) throw new ProtocolError(abortReason.invalidParameter, 'the answer is too short')
  const accept: AssociateAccept = { contexts: [], maxLength: 0, roles: new Map() }
  for (const { type, value } of items(body.subarray(68))) {
    if (type === item.contextAnswer && value.length >= 4) {
      const { transferSyntaxes } = readContext(value)
      accept.contexts.push({
        id: value.readUInt8(0),
        result: value.readUInt8(2),
        transferSyntax: transferSyntaxes[0] ?? '',
      })
    }
    if (type === item.user) Object.assign(accept, readUser(value))
  }
  return accept
}

/** Result of one presentation context (PS3.8 table 9-18). */
export const contextResult = {
  accepted: 0,
  userRejection: 1,
  abstractSyntaxNotSupported: 3,
  transferSyntaxesNotSupported: 4,
} as const

export interface AnsweredContext {
  id: number
  result: number
  /** Not significant where it was refused. */
  transferSyntax: string
}

export interface Implementation {
  classUid: string
  version: string
}

/** A-ASSOCIATE-AC (PS3.8 9.3.3). Asynchronous operations are not answered, which means a window of 1 (PS3.7 D.3.3.3). */
export function writeAssociateAccept(
  request: AssociateRequest,
  contexts: readonly AnsweredContext[],
  maxLength: number,
  implementation: Implementation,
  roles?: ReadonlyMap<string, Roles>,
): Buffer {
  return writePdu(
    pdu.associateAc,
    Buffer.from([0, 1, 0, 0]),
    request.echo,
    uid(item.application, applicationContext),
    ...contexts.map(context =>
      writeItem(
        item.contextAnswer,
        Buffer.from([context.id, 0, context.result, 0]),
        uid(item.transfer, context.transferSyntax),
      ),
    ),
    writeUser(maxLength, implementation, roles),
  )
}

/** Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21). */
export const reject = {
  applicationContext: [1, 1, 2],
  callingAeUnknown: [1, 1, 3],
  calledAeUnknown: [1, 1, 7],
  protocolVersion: [1, 2, 2],
  tooManyAssociations: [2, 3, 2],
  stopping: [2, 3, 1],
} as const satisfies Record<string, readonly [number, number, number]>

export const writeReject = (why: readonly [number, number, number]) =>
  writePdu(pdu.associateRj, Buffer.from([0, ...why]))

export const writeReleaseResponse = () => writePdu(pdu.releaseRp, Buffer.alloc(4))

/** A-ABORT by the service provider. */
export const writeAbort = (reason: number) => writePdu(pdu.abort, Buffer.from([0, 0, 2, reason]))

/** One P-DATA-TF with one presentation data value (PS3.8 9.3.5, E.2). */
export function writeData(context: number, kind: 'command' | 'data', last: boolean, bytes: Buffer): Buffer {
  const flags = (kind === 'command' ? 0x01 : 0) | (last ? 0x02 : 0)
  return writePdu(pdu.data, uint32(bytes.length + 2), Buffer.from([context, flags]), bytes)
}

/** A whole command set as P-DATA-TFs none longer than the peer takes, in one buffer, so that one write sends it. */
export function writeCommandPdus(context: number, command: Buffer, maxLength: number): Buffer {
  const room = (maxLength === 0 ? command.length + 6 : Math.max(maxLength, 8)) - 6
  const parts: Buffer[] = []
  for (let at = 0; at < command.length; at += room)
    parts.push(writeData(context, 'command', at + room >= command.length, command.subarray(at, at + room)))
  return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
}
