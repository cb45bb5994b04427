/** DIMSE command sets (PS3.7 E.1): group 0000, implicit VR little endian, and what we answer. */
import { abortReason, ProtocolError } from './dicom-pdu.ts'

export const commandField = { store: 0x0001, echo: 0x0030, cancel: 0x0fff } as const

/** Statuses that are not in the error table, because they never concern an image (PS3.7 C). */
export const status = { success: 0x0000, sopClassNotSupported: 0x0122, unrecognizedOperation: 0x0211 } as const

export interface Command {
  field: number
  messageId: number
  sopClass: string
  sopInstance: string
  hasDataSet: boolean
}

const element = {
  groupLength: 0x0000,
  sopClass: 0x0002,
  field: 0x0100,
  messageId: 0x0110,
  respondedTo: 0x0120,
  priority: 0x0700,
  dataSetType: 0x0800,
  status: 0x0900,
  comment: 0x0902,
  sopInstance: 0x1000,
} as const

/** Command Data Set Type of a message without a data set (PS3.7 E.1). */
const noDataSet = 0x0101

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

/** @throws ProtocolError when it is not a command set */
export function readCommand(bytes: Buffer): Command {
  const command: Command = { field: -1, messageId: -1, sopClass: '', sopInstance: '', hasDataSet: false }
  for (const { which, value } of elements(bytes)) {
    const number = value.length >= 2 ? value.readUInt16LE(0) : -1
    if (which === element.sopClass) command.sopClass = text(value)
    else if (which === element.field) command.field = number
    else if (which === element.messageId) command.messageId = number
    else if (which === element.dataSetType) command.hasDataSet = number !== noDataSet
    else if (which === element.sopInstance) command.sopInstance = text(value)
  }
  if (command.field < 0 || (command.messageId < 0 && command.field !== commandField.cancel))
    throw new ProtocolError(abortReason.invalidParameter, 'a command without its command field or message id')
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

/**
 * The response to a request: the same command field with the response bit, message id and UIDs (PS3.7 9.3.1.2, 9.3.5.2).
 * @param comment why it failed, without anybody's name; goes in Error Comment (0000,0902)
 */
export function writeResponse(request: Command, code: number, comment?: string): Buffer {
  const parts: Buffer[] = []
  if (request.sopClass) parts.push(write(element.sopClass, padded(request.sopClass, '\0')))
  parts.push(
    write(element.field, uint16(request.field | 0x8000)),
    write(element.respondedTo, uint16(request.messageId)),
    write(element.dataSetType, uint16(noDataSet)),
    write(element.status, uint16(code)),
  )
  if (comment) parts.push(write(element.comment, padded(errorComment(comment), ' ')))
  if (request.sopInstance) parts.push(write(element.sopInstance, padded(request.sopInstance, '\0')))
  const set = Buffer.concat(parts)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(set.length)
  return Buffer.concat([write(element.groupLength, length), set])
}

/** C-STORE-RQ of medium priority (PS3.7 9.3.1.1). */
export function writeStoreRequest(messageId: number, sopClass: string, sopInstance: string): Buffer {
  const set = Buffer.concat([
    write(element.sopClass, padded(sopClass, '\0')),
    write(element.field, uint16(commandField.store)),
    write(element.messageId, uint16(messageId)),
    write(element.priority, uint16(0)),
    write(element.dataSetType, uint16(0)),
    write(element.sopInstance, padded(sopInstance, '\0')),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(set.length)
  return Buffer.concat([write(element.groupLength, length), set])
}

/** Status and comment of a response. @throws ProtocolError where there is no status */
export function readStatus(bytes: Buffer): { status: number; comment: string } {
  const found = { status: -1, comment: '' }
  for (const { which, value } of elements(bytes)) {
    if (which === element.status && value.length >= 2) found.status = value.readUInt16LE(0)
    if (which === element.comment) found.comment = text(value).trim()
  }
  if (found.status < 0) throw new ProtocolError(abortReason.invalidParameter, 'a response without a status')
  return found
}
