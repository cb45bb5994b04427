/** A DICOM sender that does exactly what a test says, right or wrong: PDUs by hand (PS3.8 9.3). */
import { connect, type Socket } from 'node:net'
import { pdu, writePdu } from '../../dicom/pdu.ts'

export const explicitLittle = '1.2.840.10008.1.2.1'
export const verification = '1.2.840.10008.1.1'

const item = (type: number, ...value: Buffer[]) => {
  const body = Buffer.concat(value)
  const header = Buffer.alloc(4)
  header[0] = type
  header.writeUInt16BE(body.length, 2)
  return Buffer.concat([header, body])
}
const text = (type: number, value: string) => item(type, Buffer.from(value, 'latin1'))

export interface Proposal {
  contexts?: { abstract: string; syntaxes: string[] }[]
  called?: string
  calling?: string
  version?: number
  maxLength?: number
}

/** Context ids are 1, 3, 5 … in the order given. */
export function associateRequest(proposal: Proposal = {}): Buffer {
  const { contexts = [{ abstract: verification, syntaxes: [explicitLittle] }], version = 1 } = proposal
  const fixed = Buffer.alloc(68)
  fixed.writeUInt16BE(version, 0)
  fixed.write((proposal.called ?? 'RAYLOG').padEnd(16), 4, 'latin1')
  fixed.write((proposal.calling ?? 'TEST').padEnd(16), 20, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(proposal.maxLength ?? 16_384)
  return writePdu(
    pdu.associateRq,
    fixed,
    text(0x10, '1.2.840.10008.3.1.1.1'),
    ...contexts.map(({ abstract, syntaxes }, i) =>
      item(0x20, Buffer.from([2 * i + 1, 0, 0, 0]), text(0x30, abstract), ...syntaxes.map(uid => text(0x40, uid))),
    ),
    item(0x50, item(0x51, length), text(0x52, '1.2.3.4')),
  )
}

/** P-DATA-TFs with the bytes as one data value each. */
export function dataPdus(context: number, command: boolean, bytes: Buffer, chunk = 16_000): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += chunk) {
    const value = bytes.subarray(at, at + chunk)
    const header = Buffer.alloc(6)
    header.writeUInt32BE(value.length + 2, 0)
    header[4] = context
    header[5] = (command ? 1 : 0) | (at + chunk >= bytes.length ? 2 : 0)
    parts.push(writePdu(pdu.data, header, value))
  }
  return Buffer.concat(parts)
}

const element = (which: number, value: Buffer) => {
  const header = Buffer.alloc(8)
  header.writeUInt16LE(which, 2)
  header.writeUInt32LE(value.length, 4)
  return Buffer.concat([header, value])
}
const uint16 = (value: number) => Buffer.from([value & 255, value >> 8])
const uid = (value: string) => Buffer.from(value.length % 2 ? `${value}\0` : value, 'latin1')

export function command(
  field: number,
  fields: { sopClass?: string; sopInstance?: string; data?: boolean } = {},
): Buffer {
  const { sopClass = verification, sopInstance, data = false } = fields
  return Buffer.concat([
    element(0x0002, uid(sopClass)),
    element(0x0100, uint16(field)),
    element(0x0110, uint16(7)),
    element(0x0800, uint16(data ? 0 : 0x0101)),
    ...(sopInstance ? [element(0x1000, uid(sopInstance))] : []),
  ])
}

export const echo = (context = 1) => dataPdus(context, true, command(0x0030))

/** The data set of a Part 10 file: what stands after group 0002. */
export const dataSetOf = (file: Buffer) => file.subarray(144 + file.readUInt32LE(140))

export interface StoreRequest {
  context?: number
  sopClass: string
  sopInstance: string
}

export const store = ({ context = 1, sopClass, sopInstance }: StoreRequest, dataSet: Buffer, chunk?: number) =>
  Buffer.concat([
    dataPdus(context, true, command(0x0001, { sopClass, sopInstance, data: true })),
    dataPdus(context, false, dataSet, chunk),
  ])

export const releaseRequest = () => writePdu(pdu.releaseRq, Buffer.alloc(4))

export interface Answer {
  type: number
  body: Buffer
}

function bodyOf(answer: Answer | undefined): Buffer {
  if (!answer) throw new Error('the connection closed without an answer')
  return answer.body
}

/** Status and Error Comment of a response in one P-DATA-TF. */
export function statusOf(answer: Answer | undefined): { status: number; comment: string } {
  const body = bodyOf(answer)
  const found = { status: -1, comment: '' }
  for (let at = 6; at + 8 <= body.length; ) {
    const length = body.readUInt32LE(at + 4)
    const value = body.subarray(at + 8, at + 8 + length)
    if (body.readUInt16LE(at + 2) === 0x0900) found.status = value.readUInt16LE(0)
    if (body.readUInt16LE(at + 2) === 0x0902) found.comment = value.toString('latin1').trim()
    at += 8 + length
  }
  return found
}

/** Result and transfer syntax of each context of an A-ASSOCIATE-AC. */
export function contextsOf(answer: Answer | undefined): { id: number; result: number; syntax: string }[] {
  const body = bodyOf(answer)
  const found: { id: number; result: number; syntax: string }[] = []
  for (let at = 68; at + 4 <= body.length; ) {
    const length = body.readUInt16BE(at + 2)
    if (body[at] === 0x21) {
      const syntax = body.toString('latin1', at + 12, at + 4 + length)
      found.push({ id: body.readUInt8(at + 4), result: body.readUInt8(at + 6), syntax })
    }
    at += 4 + length
  }
  return found
}

export interface Peer extends Disposable {
  readonly socket: Socket
  write(bytes: Buffer): void
  /** The next PDU, or undefined when the connection is closed. */
  next(): Promise<Answer | undefined>
}

export async function connectPeer(port: number, localAddress = '127.0.0.1'): Promise<Peer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
  const answers: Answer[] = []
  let held = Buffer.alloc(0)
  let closed = false
  let wake: (() => void) | undefined
  socket.on('data', chunk => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 6 && held.length >= 6 + held.readUInt32BE(2)) {
      const size = 6 + held.readUInt32BE(2)
      answers.push({ type: held.readUInt8(0), body: Buffer.from(held.subarray(6, size)) })
      held = held.subarray(size)
    }
    wake?.()
  })
  // A reset is an end like any other here.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    closed = true
    wake?.()
  })
  await new Promise<void>(resolve => socket.once('connect', resolve).once('close', () => resolve()))
  return {
    socket,
    write: bytes => {
      socket.write(bytes)
    },
    async next() {
      while (answers.length === 0 && !closed) await new Promise<void>(resolve => (wake = resolve))
      return answers.shift()
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

/** Connected and associated. @throws when it was not accepted */
export async function associate(port: number, proposal: Proposal = {}, localAddress?: string): Promise<Peer> {
  const peer = await connectPeer(port, localAddress)
  peer.write(associateRequest(proposal))
  const answer = await peer.next()
  if (answer?.type !== pdu.associateAc) throw new Error(`not accepted: ${answer?.type} ${answer?.body.toString('hex')}`)
  return peer
}
