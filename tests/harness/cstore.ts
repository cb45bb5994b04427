/**
 * A C-STORE sender for fault tests: repeats each instance until it is acknowledged, over lost associations, refused
 * connections and failure statuses. DICOM PS3.7 9.3.1, PS3.8 9.3.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export interface ToStore {
  sopClass: string
  sopInstance: string
  transferSyntax: string
  /** Without preamble and file meta. */
  dataSet: Buffer
}

export interface Sent {
  acknowledged: string[]
  /** Attempts that were not acknowledged. */
  repeated: number
}

const item = (type: number, body: Buffer): Buffer => {
  const head = Buffer.from([type, 0, 0, 0])
  head.writeUInt16BE(body.length, 2)
  return Buffer.concat([head, body])
}
const pdu = (type: number, body: Buffer): Buffer => {
  const head = Buffer.from([type, 0, 0, 0, 0, 0])
  head.writeUInt32BE(body.length, 2)
  return Buffer.concat([head, body])
}
const uid = (type: number, value: string) => item(type, Buffer.from(value, 'latin1'))

function associateRequest(sopClass: string, transferSyntax: string): Buffer {
  const fixed = Buffer.alloc(68)
  fixed.writeUInt16BE(1, 0)
  fixed.write('RAYLOG'.padEnd(16), 4, 'latin1')
  fixed.write('TESTSCU'.padEnd(16), 20, 'latin1')
  const context = item(0x20, Buffer.concat([Buffer.from([1, 0, 0, 0]), uid(0x30, sopClass), uid(0x40, transferSyntax)]))
  const maxLength = Buffer.alloc(4)
  maxLength.writeUInt32BE(0x20000)
  const user = item(0x50, Buffer.concat([item(0x51, maxLength), uid(0x52, '2.25.1')]))
  return pdu(1, Buffer.concat([fixed, uid(0x10, '1.2.840.10008.3.1.1.1'), context, user]))
}

function element(tag: number, value: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16LE(tag, 2)
  head.writeUInt32LE(value.length, 4)
  return Buffer.concat([head, value])
}
const short = (value: number) => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}
const padded = (value: string) => Buffer.from(value.length % 2 ? `${value}\0` : value, 'latin1')

function storeRequest({ sopClass, sopInstance, dataSet }: ToStore, message: number): Buffer {
  const set = Buffer.concat([
    element(0x0002, padded(sopClass)),
    element(0x0100, short(1)),
    element(0x0110, short(message)),
    element(0x0700, short(0)),
    element(0x0800, short(0)),
    element(0x1000, padded(sopInstance)),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(set.length)
  const command = Buffer.concat([element(0, length), set])
  const fragment = (bytes: Buffer, flags: number) => {
    const head = Buffer.alloc(6)
    head.writeUInt32BE(bytes.length + 2)
    head[4] = 1
    head[5] = flags
    return pdu(4, Buffer.concat([head, bytes]))
  }
  const parts = [fragment(command, 3)]
  const size = 16_000
  for (let at = 0; at < dataSet.length; at += size)
    parts.push(fragment(dataSet.subarray(at, at + size), at + size >= dataSet.length ? 2 : 0))
  return Buffer.concat(parts)
}

async function* pdus(socket: Socket): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  for await (const bytes of socket) {
    held = Buffer.concat([held, bytes])
    while (held.length >= 6 && held.length >= 6 + held.readUInt32BE(2)) {
      const size = 6 + held.readUInt32BE(2)
      yield held.subarray(0, size)
      held = held.subarray(size)
    }
  }
}

function statusOf(response: Buffer): number {
  for (let at = 12; at + 8 <= response.length; at += 8 + response.readUInt32LE(at + 4))
    if (response.readUInt16LE(at + 2) === 0x0900) return response.readUInt16LE(at + 8)
  return -1
}

interface Association {
  socket: Socket
  answers: AsyncGenerator<Buffer>
}

async function associate(port: number, first: ToStore): Promise<Association> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => socket.destroy())
  socket.setTimeout(20_000, () => socket.destroy())
  const answers = pdus(socket)
  socket.write(associateRequest(first.sopClass, first.transferSyntax))
  const { value } = await answers.next()
  if (value?.[0] === 2) return { socket, answers }
  socket.destroy()
  throw new Error('association not accepted')
}

/**
 * Sends each instance over one of `associations`, again and again until it is acknowledged with 0x0000.
 * All instances must have the SOP class and transfer syntax of the first.
 */
export async function storeAll(
  port: number,
  instances: readonly ToStore[],
  { associations = 4, retryMs = 100, signal }: { associations?: number; retryMs?: number; signal?: AbortSignal } = {},
): Promise<Sent> {
  const sent: Sent = { acknowledged: [], repeated: 0 }
  let next = 0
  async function worker(): Promise<void> {
    let open: Association | undefined
    let message = 0
    for (let instance = instances[next++]; instance; instance = instances[next++]) {
      for (;;) {
        signal?.throwIfAborted()
        try {
          open ??= await associate(port, instance)
          message = (message % 65_535) + 1
          open.socket.write(storeRequest(instance, message))
          const { value } = await open.answers.next()
          if (value?.[0] !== 4) throw new Error('association lost')
          if (statusOf(value) === 0) break
        } catch {
          // Whatever it was, the instance is not acknowledged: a new association, and again.
          open?.socket.destroy()
          open = undefined
        }
        sent.repeated++
        await wait(retryMs)
      }
      sent.acknowledged.push(instance.sopInstance)
    }
    open?.socket.end(pdu(5, Buffer.alloc(4)))
  }
  await Promise.all(Array.from({ length: associations }, worker))
  return sent
}
