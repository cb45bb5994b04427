/**
 * Reads PDUs out of a socket's chunks, however they are cut. The data of P-DATA-TFs is handed on as slices of the chunks,
 * so a data set is never held here; every other PDU is small and handed on whole (PS3.8 9.3).
 */
import { abortReason, ProtocolError, pdu } from './pdu.ts'

export interface PduHandler {
  /** A whole PDU other than P-DATA-TF, after its header. */
  pdu(type: number, body: Buffer): void
  /** Some bytes of a presentation data value. `done`: its last bytes. `bytes` is a slice of the chunk. */
  fragment(context: number, flags: number, bytes: Buffer, done: boolean): void
}

/** Bits of a message control header (PS3.8 E.2). */
export const isCommand = (flags: number) => (flags & 0x01) !== 0
export const isLast = (flags: number) => (flags & 0x02) !== 0

/** 128 contexts of 64 transfer syntaxes come to some 600 KB; the other PDUs have four bytes. */
const maxAssociateBytes = 1024 * 1024
const maxSmallBytes = 64
/** Some senders leave the six bytes of a header out of their count; memory does not depend on it. */
const lengthSlack = 12

const header = 6

function checkLength(type: number, length: number, maxData: number): void {
  if (type < pdu.associateRq || type > pdu.abort)
    throw new ProtocolError(abortReason.unrecognizedPdu, `PDU of unknown type ${type}`)
  const most = type === pdu.data ? maxData + lengthSlack : type <= pdu.associateAc ? maxAssociateBytes : maxSmallBytes
  if (length > most || (type === pdu.data && length < 6))
    throw new ProtocolError(abortReason.invalidParameter, `PDU of type ${type} with a length of ${length} bytes`)
}

/**
 * @param maxData longest P-DATA-TF that we announced, bytes
 * @returns a function that takes the next chunk; it throws ProtocolError and must not be called after that
 */
export function createPduReader(handler: PduHandler, maxData: number): (chunk: Buffer) => void {
  /** Bytes of a header, or of a small PDU, that came in parts. */
  let held: Buffer[] = []
  let heldBytes = 0
  let type = 0
  /** Bytes of the current PDU that have not come; 0: a header is next. */
  let left = 0
  /** Bytes of the current data value that have not come; -1: its header is next. */
  let valueLeft = -1
  let context = 0
  let flags = 0

  /** The next `size` bytes in one piece, or undefined (and all of the chunk held) until they have come. */
  function whole(chunk: Buffer, at: number, size: number): { bytes: Buffer; at: number } | undefined {
    const missing = size - heldBytes
    if (chunk.length - at < missing) {
      // Copied: a slice would keep the socket's whole chunk alive for a few bytes.
      held.push(Buffer.from(chunk.subarray(at)))
      heldBytes += chunk.length - at
      return undefined
    }
    const part = chunk.subarray(at, at + missing)
    const bytes = held.length === 0 ? part : Buffer.concat([...held, part])
    held = []
    heldBytes = 0
    return { bytes, at: at + missing }
  }

  function beginValue(bytes: Buffer): void {
    const length = bytes.readUInt32BE(0)
    left -= 6
    if (length < 2 || length - 2 > left)
      throw new ProtocolError(abortReason.invalidParameter, `a data value of ${length} bytes does not fit its PDU`)
    context = bytes.readUInt8(4)
    flags = bytes.readUInt8(5)
    valueLeft = length - 2
  }

  /** @returns where it stopped in the chunk, or undefined when more must come first */
  function step(chunk: Buffer, at: number): number | undefined {
    if (left === 0) {
      const next = whole(chunk, at, header)
      if (!next) return undefined
      type = next.bytes.readUInt8(0)
      left = next.bytes.readUInt32BE(2)
      checkLength(type, left, maxData)
      if (left === 0) handler.pdu(type, Buffer.alloc(0))
      return next.at
    }
    if (type !== pdu.data) {
      const next = whole(chunk, at, left)
      if (!next) return undefined
      left = 0
      handler.pdu(type, next.bytes)
      return next.at
    }
    if (valueLeft < 0) {
      if (left < 6) throw new ProtocolError(abortReason.invalidParameter, 'bytes after the last data value of a PDU')
      const next = whole(chunk, at, 6)
      if (!next) return undefined
      beginValue(next.bytes)
      if (valueLeft > 0) return next.at
      valueLeft = -1
      handler.fragment(context, flags, Buffer.alloc(0), true)
      return next.at
    }
    const bytes = chunk.subarray(at, at + valueLeft)
    left -= bytes.length
    valueLeft -= bytes.length
    const done = valueLeft === 0
    if (done) valueLeft = -1
    handler.fragment(context, flags, bytes, done)
    return at + bytes.length
  }

  return chunk => {
    let at: number | undefined = 0
    while (at !== undefined && at < chunk.length) at = step(chunk, at)
  }
}
