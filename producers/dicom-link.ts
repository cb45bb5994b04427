/**
 * A connection as a queue of PDUs and data fragments that is read one by one. The socket is paused while more waits than
 * `highWater`: a writer that is slow makes the sender slow, and memory stays bounded.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { abortReason, ProtocolError } from './dicom-pdu.ts'
import { createPduReader } from './dicom-reader.ts'

export type Incoming =
  | { kind: 'pdu'; type: number; body: Buffer }
  | { kind: 'fragment'; context: number; flags: number; bytes: Buffer; done: boolean }
  /** The peer broke the protocol. What came before it has been handed on. */
  | { kind: 'broken'; error: ProtocolError }
  /** The connection is gone. */
  | { kind: 'closed' }
  /** Nothing came for as long as the reader would wait. */
  | { kind: 'late' }
  /** `interrupt` was called while the reader waited. */
  | { kind: 'interrupted' }

export interface Link {
  readonly address: string
  /** The next of what came, waited for `timeoutMs` at most. After `closed` or `broken` it gives the same again. */
  take(timeoutMs: number): Promise<Incoming>
  /** The next of what came, without waiting; undefined where nothing has. */
  poll(): Incoming | undefined
  /** Makes a reader that waits now, or the next that would wait, stop waiting. */
  interrupt(): void
  /** One write. A peer that does not read what it is sent loses the connection. */
  send(bytes: Buffer): void
  /** Resolves when the peer has read most of what was sent; false where it is gone, or reads nothing for `timeoutMs`. */
  drained(timeoutMs: number): Promise<boolean>
  /** Sends, then ends our half. */
  finish(bytes?: Buffer): void
  destroy(): void
  readonly closed: Promise<void>
}

const highWater = 256 * 1024
/** A queued item costs memory beside its bytes; senders that cut their data in tiny fragments must not get round the limit. */
const itemCost = 256
/** Answers have some 200 bytes, so a peer that leaves this much unread is not there. */
const maxUnread = 1024 * 1024

export function createLink(socket: Socket, maxPdu: number): Link {
  const queue: Incoming[] = []
  let head = 0
  let queued = 0
  let end: Incoming | undefined
  let waiter: ((what: Incoming) => void) | undefined
  let interrupted = false
  const closed = Promise.withResolvers<void>()

  function cost(what: Incoming): number {
    const held = what.kind === 'fragment' ? what.bytes : what.kind === 'pdu' ? what.body : undefined
    return (held?.length ?? 0) + itemCost
  }

  function put(what: Incoming): void {
    if (waiter) {
      waiter(what)
      return
    }
    queue.push(what)
    queued += cost(what)
    if (queued >= highWater) socket.pause()
  }

  function finishWith(what: Incoming): void {
    if (end) return
    end = what
    waiter?.(what)
  }

  const read = createPduReader(
    {
      pdu: (type, body) => put({ kind: 'pdu', type, body: Buffer.from(body) }),
      fragment: (context, flags, bytes, done) => put({ kind: 'fragment', context, flags, bytes, done }),
    },
    maxPdu,
  )

  socket.setNoDelay(true)
  socket.on('data', (chunk: Buffer) => {
    if (end) return
    try {
      read(chunk)
    } catch (thrown) {
      // Anything but a ProtocolError is a fault of ours; it ends this connection alone.
      const ours = () => new ProtocolError(abortReason.notSpecified, `a fault in the reader: ${String(thrown)}`)
      finishWith({ kind: 'broken', error: thrown instanceof ProtocolError ? thrown : ours() })
    }
  })
  socket.on('end', () => finishWith({ kind: 'closed' }))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    finishWith({ kind: 'closed' })
    closed.resolve()
  })

  function next(): Incoming | undefined {
    const what = queue[head]
    if (!what) return end
    head++
    queued -= cost(what)
    if (head === queue.length) {
      queue.length = 0
      head = 0
    }
    if (queued < highWater / 2 && socket.isPaused()) socket.resume()
    return what
  }

  return {
    address: socket.remoteAddress ?? '',
    closed: closed.promise,
    take(timeoutMs) {
      const ready = next()
      if (ready) return Promise.resolve(ready)
      if (interrupted) {
        interrupted = false
        return Promise.resolve({ kind: 'interrupted' })
      }
      return new Promise(resolve => {
        const timer = setTimeout(() => waiter?.({ kind: 'late' }), timeoutMs)
        waiter = what => {
          waiter = undefined
          clearTimeout(timer)
          resolve(what)
        }
      })
    },
    poll: next,
    interrupt() {
      if (waiter) waiter({ kind: 'interrupted' })
      else interrupted = true
    },
    send(bytes) {
      if (socket.destroyed || socket.writableEnded) return
      socket.write(bytes)
      if (socket.writableLength > maxUnread) socket.destroy()
    },
    async drained(timeoutMs) {
      if (!socket.writableNeedDrain) return !socket.destroyed
      const over = new AbortController()
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(timeoutMs)])
      try {
        await Promise.race([once(socket, 'drain', { signal }), closed.promise])
        return !socket.destroyed
      } catch {
        return false // in all that time
      } finally {
        over.abort()
      }
    },
    finish(bytes) {
      if (socket.destroyed || socket.writableEnded) return
      if (bytes) socket.end(bytes)
      else socket.end()
    },
    destroy: () => {
      socket.destroy()
    },
  }
}
