/** Messages on their way out: a command set, and its data set in P-DATA-TFs, no faster than the peer reads. */
import type { Link } from './link.ts'
import { writeCommandPdus, writeData } from './pdu.ts'

/** Longest P-DATA-TF that we send, bytes, whatever the peer would take. */
const maxSentPdu = 131_072

export interface Outgoing {
  context: number
  command: Buffer
  dataSet?: Buffer | AsyncIterable<Buffer> | undefined
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

/**
 * @param maxLength longest P-DATA-TF that the peer takes, bytes; 0: no limit
 * @param stallMs how long the peer may read nothing
 * @returns false where the peer is gone, or does not read
 */
export async function sendMessage(link: Link, out: Outgoing, maxLength: number, stallMs: number): Promise<boolean> {
  const { context, command, dataSet } = out
  const first = writeCommandPdus(context, command, maxLength)
  if (dataSet === undefined) {
    link.send(first)
    return true
  }
  // Pieces of even length: a data set has one (PS3.5 7.1.1), and so have, for some receivers, its fragments.
  const room = (Math.min(maxLength === 0 ? maxSentPdu : Math.max(maxLength, 8), maxSentPdu) - 6) & ~1
  if (Buffer.isBuffer(dataSet) && dataSet.length <= room) {
    link.send(Buffer.concat([first, writeData(context, 'data', true, dataSet)]))
    return link.drained(stallMs)
  }
  link.send(first)
  let held: Buffer = Buffer.alloc(0)
  const write = (bytes: Buffer, last: boolean) => {
    link.send(writeData(context, 'data', last, bytes))
    return link.drained(stallMs)
  }
  for await (const chunk of Buffer.isBuffer(dataSet) ? once(dataSet) : dataSet) {
    held = held.length > 0 ? Buffer.concat([held, chunk]) : chunk
    for (; held.length > room; held = held.subarray(room))
      if (!(await write(held.subarray(0, room), false))) return false
  }
  return write(held, true)
}
