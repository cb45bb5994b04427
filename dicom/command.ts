/** DIMSE command sets (PS3.7 E.1): group 0000, implicit VR little endian. */
import { abortReason, ProtocolError } from './pdu.ts'

export const commandField = {
  store: 0x0001,
  get: 0x0010,
  find: 0x0020,
  move: 0x0021,
  echo: 0x0030,
  eventReport: 0x0100,
  set: 0x0120,
  action: 0x0130,
  create: 0x0140,
  cancel: 0x0fff,
} as const

/** Set in the command field of a response (PS3.7 E.1). */
export const responseBit = 0x8000

/** Statuses that are not in the error table, because they never concern an image (PS3.7 C, PS3.4 C.4). */
export const status = {
  success: 0x0000,
  sopClassNotSupported: 0x0122,
  unrecognizedOperation: 0x0211,
  cancelled: 0xfe00,
  pending: 0xff00,
} as const

export interface Command {
  field: number
  /** Of a request; -1 in a response and a C-CANCEL. */
  messageId: number
  /** Of a response or a C-CANCEL: the request that it is about; -1 in a request. */
  respondedTo: number
  /** Affected, or requested. */
  sopClass: string
  sopInstance: string
  hasDataSet: boolean
  /** Of a response; -1 in a request. */
  status: number
  comment: string
  /** AE title that a C-MOVE sends to. */
  destination: string
  /** AE title of who asked for the C-MOVE that a C-STORE is part of; else empty. */
  originator: string
  /** Action or event type of an N-ACTION or N-EVENT-REPORT. */
  type: number
  /** Of a response to a C-MOVE or C-GET; zeros where it does not say. */
  subOperations: Required<SubOperations>
}

/** Sub-operations of a C-MOVE or C-GET (PS3.4 C.4.2.1.6). */
export interface SubOperations {
  /** Left out of the final response, but for one to a cancelled request. */
  remaining?: number
  completed: number
  failed: number
  warning: number
}

const element = {
  groupLength: 0x0000,
  sopClass: 0x0002,
  requestedSopClass: 0x0003,
  field: 0x0100,
  messageId: 0x0110,
  respondedTo: 0x0120,
  destination: 0x0600,
  priority: 0x0700,
  dataSetType: 0x0800,
  status: 0x0900,
  comment: 0x0902,
  sopInstance: 0x1000,
  requestedSopInstance: 0x1001,
  eventType: 0x1002,
  actionType: 0x1008,
  remaining: 0x1020,
  completed: 0x1021,
  failed: 0x1022,
  warning: 0x1023,
  originator: 0x1030,
  originatorMessageId: 0x1031,
} as const

/** Command Data Set Type of a message without a data set, and with one (PS3.7 E.1). */
const dataSetType = { none: 0x0101, present: 0x0001 } as const

/** Elements of a command set, their values not read. @throws ProtocolError */
function* elements(bytes: Buffer): Generator<{ which: number; value: Buffer }> {
  let at = 0
  while (at < bytes.length) {
    const end = at + 8 <= bytes.length ? at + 8 + bytes.readUInt32LE(at + 4) : Number.POSITIVE_INFINITY
    if (end > bytes.length || bytes.readUInt16LE(at) !== 0)
      throw new ProtocolError(abortReason.invalidParameter, 'the command set cannot be parsed')
    yield { which: bytes.readUInt16LE(at + 2), value: bytes.subarray(at + 8, end) }
    at = end
  }
}

const text = (value: Buffer) => value.toString('latin1').replace(/[\0 ]+$/, '')

const counted: Readonly<Record<number, keyof SubOperations>> = {
  [element.remaining]: 'remaining',
  [element.completed]: 'completed',
  [element.failed]: 'failed',
  [element.warning]: 'warning',
}

/** @throws ProtocolError when it is not a command set */
export function readCommand(bytes: Buffer): Command {
  const command: Command = {
    field: -1,
    messageId: -1,
    respondedTo: -1,
    sopClass: '',
    sopInstance: '',
    hasDataSet: false,
    status: -1,
    comment: '',
    destination: '',
    originator: '',
    type: -1,
    subOperations: { remaining: 0, completed: 0, failed: 0, warning: 0 },
  }
  for (const { which, value } of elements(bytes)) {
    const number = value.length >= 2 ? value.readUInt16LE(0) : -1
    if (which === element.sopClass || which === element.requestedSopClass) command.sopClass = text(value)
    else if (which === element.field) command.field = number
    else if (which === element.messageId) command.messageId = number
    else if (which === element.respondedTo) command.respondedTo = number
    else if (which === element.dataSetType) command.hasDataSet = number !== dataSetType.none
    else if (which === element.sopInstance || which === element.requestedSopInstance) command.sopInstance = text(value)
    else if (which === element.status) command.status = number
    else if (which === element.comment) command.comment = text(value).trim()
    else if (which === element.destination) command.destination = text(value).trim()
    else if (which === element.originator) command.originator = text(value).trim()
    else if (which === element.actionType || which === element.eventType) command.type = number
    else {
      const count = counted[which]
      if (count) command.subOperations[count] = number
    }
  }
  const isAnswer = (command.field & responseBit) !== 0 || command.field === commandField.cancel
  if (command.field < 0 || (!isAnswer && command.messageId < 0) || (command.field > responseBit && command.status < 0))
    throw new ProtocolError(abortReason.invalidParameter, 'a command without its command field, message id or status')
  return command
}

function write(which: number, value: Buffer): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16LE(which, 2)
  header.writeUInt32LE(value.length, 4)
  return Buffer.concat([header, value])
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function padded(text: string, pad: string): Buffer {
  return Buffer.from(text.length % 2 ? text + pad : text, 'latin1')
}

/** The comment as an LO: printable ASCII, no backslash, 64 characters at most (PS3.5 6.2). */
const errorComment = (text: string) => text.replace(/[^ -~]|\\/g, ' ').slice(0, 64)

/** The command set with its group length; elements that have no value are left out. In the order of their tags. */
function writeCommand(parts: readonly (readonly [which: number, value: Buffer | undefined])[]): Buffer {
  const written: Buffer[] = []
  for (const [which, value] of parts) if (value) written.push(write(which, value))
  const set = Buffer.concat(written)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(set.length)
  return Buffer.concat([write(element.groupLength, length), set])
}

const uid = (value: string) => (value ? padded(value, '\0') : undefined)
const number = (value: number | undefined) => (value === undefined ? undefined : uint16(value))

export interface ResponseDetails {
  /** Why it failed, without anybody's name; goes in Error Comment (0000,0902). */
  comment?: string | undefined
  /** A data set follows. */
  hasDataSet?: boolean
  subOperations?: SubOperations
}

/** The response to a request: the same command field with the response bit, message id and UIDs (PS3.7 9.3, 10.3). */
export function writeResponse(request: Command, code: number, details: ResponseDetails = {}): Buffer {
  const { comment, hasDataSet = false, subOperations: counts } = details
  return writeCommand([
    [element.sopClass, uid(request.sopClass)],
    [element.field, uint16(request.field | responseBit)],
    [element.respondedTo, uint16(request.messageId)],
    [element.dataSetType, uint16(hasDataSet ? dataSetType.present : dataSetType.none)],
    [element.status, uint16(code)],
    [element.comment, comment ? padded(errorComment(comment), ' ') : undefined],
    [element.sopInstance, uid(request.sopInstance)],
    [element.eventType, request.field === commandField.eventReport ? number(request.type) : undefined],
    [element.actionType, request.field === commandField.action ? number(request.type) : undefined],
    [element.remaining, number(counts?.remaining)],
    [element.completed, number(counts?.completed)],
    [element.failed, number(counts?.failed)],
    [element.warning, number(counts?.warning)],
  ])
}

/** The C-MOVE that an image is sent for (PS3.7 9.3.1.1). */
export interface MoveOriginator {
  aeTitle: string
  messageId: number
}

/** C-STORE-RQ of medium priority (PS3.7 9.3.1.1). */
export function writeStoreRequest(
  messageId: number,
  sopClass: string,
  sopInstance: string,
  originator?: MoveOriginator,
): Buffer {
  return writeCommand([
    [element.sopClass, uid(sopClass)],
    [element.field, uint16(commandField.store)],
    [element.messageId, uint16(messageId)],
    [element.priority, uint16(0)],
    [element.dataSetType, uint16(dataSetType.present)],
    [element.sopInstance, uid(sopInstance)],
    [element.originator, originator && padded(originator.aeTitle, ' ')],
    [element.originatorMessageId, number(originator?.messageId)],
  ])
}

/** N-EVENT-REPORT-RQ with a data set (PS3.7 10.3.1.1). */
export function writeEventReport(messageId: number, sopClass: string, sopInstance: string, eventType: number): Buffer {
  return writeCommand([
    [element.sopClass, uid(sopClass)],
    [element.field, uint16(commandField.eventReport)],
    [element.messageId, uint16(messageId)],
    [element.dataSetType, uint16(dataSetType.present)],
    [element.sopInstance, uid(sopInstance)],
    [element.eventType, uint16(eventType)],
  ])
}

/**
 * C-FIND-RQ, C-MOVE-RQ or C-GET-RQ of medium priority (PS3.7 9.3.2 to 9.3.4); its identifier follows.
 * @param destination AE title, for a C-MOVE
 */
export function writeQueryRequest(
  field: typeof commandField.find | typeof commandField.move | typeof commandField.get,
  messageId: number,
  sopClass: string,
  destination?: string,
): Buffer {
  return writeCommand([
    [element.sopClass, uid(sopClass)],
    [element.field, uint16(field)],
    [element.messageId, uint16(messageId)],
    [element.destination, destination === undefined ? undefined : padded(destination, ' ')],
    [element.priority, uint16(0)],
    [element.dataSetType, uint16(dataSetType.present)],
  ])
}

/** C-CANCEL-RQ of a C-FIND, C-MOVE or C-GET (PS3.7 9.3.2.3). */
export function writeCancel(messageId: number): Buffer {
  return writeCommand([
    [element.field, uint16(commandField.cancel)],
    [element.respondedTo, uint16(messageId)],
    [element.dataSetType, uint16(dataSetType.none)],
  ])
}

/** N-ACTION-RQ with a data set (PS3.7 10.3.5.1). */
export function writeAction(messageId: number, sopClass: string, sopInstance: string, type: number): Buffer {
  return writeCommand([
    [element.requestedSopClass, uid(sopClass)],
    [element.field, uint16(commandField.action)],
    [element.messageId, uint16(messageId)],
    [element.dataSetType, uint16(dataSetType.present)],
    [element.requestedSopInstance, uid(sopInstance)],
    [element.actionType, uint16(type)],
  ])
}
