/**
 * A connection as a queue of PDUs and data fragments that is read one by one. The socket is paused while more waits than
 * `highWater`: a writer that is slow makes the sender slow, and memory stays bounded.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { abortReason, ProtocolError } from './pdu.ts'
import { createPduReader } from './reader.ts'

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
  /** The sink has taken all that it wanted. */
  | { kind: 'sunk' }

export type Fragment = Extract<Incoming, { kind: 'fragment' }>

/**
 * Takes fragments at once, as they come off the socket. What it wants to keep of the bytes it copies: their memory goes back.
 * `last`: taken, and no more is waited for. `refused`: not taken; `take` hands it on.
 */
export type Sink = (fragment: Fragment) => 'taken' | 'last' | 'refused'

export interface Link {
  readonly address: string
  /**
   * The next of what came, waited for `timeoutMs` at most. After `closed` or `broken` it gives the same again.
   * With a sink: the first thing that the sink did not take, or `sunk` when it has taken the last.
   */
  take(timeoutMs: number, sink?: Sink): Promise<Incoming>
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
/** Items that were taken and stand in the queue yet: to move those behind them up costs a little. */
const mostTaken = 32
/** Smaller fragments are copied when they must wait, so that they do not keep the socket's whole chunk, bytes. */
const smallFragment = 1_024
/** Answers have some 200 bytes, so a peer that leaves this much unread is not there. */
const maxUnread = 1024 * 1024

/** A chunk of the socket, and how many fragments that still wait are parts of it. */
interface Chunk {
  bytes: Buffer
  waiting: number
  /** Someone else may hold a part of it. */
  lent: boolean
}

/**
 * Gives the memory of a chunk back at once. Left to the garbage collector, the chunks of hundreds of images a second made it
 * collect the whole heap several times a second (bench/notes-receive.md).
 */
function release({ bytes, waiting, lent }: Chunk): void {
  const { buffer } = bytes
  if (waiting > 0 || lent || !(buffer instanceof ArrayBuffer) || buffer.byteLength !== bytes.length) return
  buffer.transfer(0)
}

export function createLink(socket: Socket, maxPdu: number): Link {
  const queue: { what: Incoming; chunk?: Chunk | undefined }[] = []
  let head = 0
  let queued = 0
  let end: Incoming | undefined
  let waiter: ((what: Incoming) => void) | undefined
  let sink: Sink | undefined
  let chunk: Chunk | undefined
  let interrupted = false
  const closed = Promise.withResolvers<void>()

  function cost(what: Incoming): number {
    const held = what.kind === 'fragment' ? what.bytes : what.kind === 'pdu' ? what.body : undefined
    return (held?.length ?? 0) + itemCost
  }

  function put(what: Incoming): void {
    if (waiter) {
      if (chunk && what.kind === 'fragment') chunk.lent = true
      waiter(what)
      return
    }
    if (chunk && what.kind === 'fragment' && what.bytes.length > smallFragment) {
      chunk.waiting++
      queue.push({ what, chunk })
    } else queue.push({ what: what.kind === 'fragment' ? { ...what, bytes: Buffer.from(what.bytes) } : what })
    queued += cost(what)
    if (queued >= highWater) socket.pause()
  }

  function putFragment(fragment: Fragment): void {
    const said = sink?.(fragment) ?? 'refused'
    if (said === 'refused') put(fragment)
    else if (said === 'last') put({ kind: 'sunk' })
  }

  function finishWith(what: Incoming): void {
    if (end) return
    end = what
    waiter?.(what)
  }

  const read = createPduReader(
    {
      pdu: (type, body) => put({ kind: 'pdu', type, body: Buffer.from(body) }),
      fragment: (context, flags, bytes, done) => putFragment({ kind: 'fragment', context, flags, bytes, done }),
    },
    maxPdu,
  )

  socket.setNoDelay(true)
  socket.on('data', (bytes: Buffer) => {
    if (end) return
    const mine: Chunk = { bytes, waiting: 0, lent: false }
    chunk = mine
    try {
      read(bytes)
      release(mine)
    } catch (thrown) {
      // Anything but a ProtocolError is a fault of ours; it ends this connection alone.
      const ours = () => new ProtocolError(abortReason.notSpecified, `a fault in the reader: ${String(thrown)}`)
      finishWith({ kind: 'broken', error: thrown instanceof ProtocolError ? thrown : ours() })
    } finally {
      chunk = undefined
    }
  })
  socket.on('end', () => finishWith({ kind: 'closed' }))
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    finishWith({ kind: 'closed' })
    closed.resolve()
  })

  function next(): Incoming | undefined {
    for (;;) {
      const first = queue[head]
      if (!first) return end
      const { what, chunk: of } = first
      head++
      queued -= cost(what)
      // Also where it never empties, because the sender is faster: what was taken must not be held.
      if (head === queue.length || head >= mostTaken) {
        queue.splice(0, head)
        head = 0
      }
      if (queued < highWater / 2 && socket.isPaused()) socket.resume()
      const said = what.kind === 'fragment' ? (sink?.(what) ?? 'refused') : 'refused'
      if (of) {
        of.waiting--
        of.lent ||= said === 'refused'
        release(of)
      }
      if (said === 'refused') return what
      if (said === 'last') return { kind: 'sunk' }
    }
  }

  return {
    address: socket.remoteAddress ?? '',
    closed: closed.promise,
    take(timeoutMs, into) {
      sink = into
      const ready = next()
      if (ready || interrupted) {
        sink = undefined
        if (!ready) interrupted = false
        return Promise.resolve(ready ?? { kind: 'interrupted' })
      }
      return new Promise(resolve => {
        const timer = setTimeout(() => waiter?.({ kind: 'late' }), timeoutMs)
        if (into)
          sink = fragment => {
            timer.refresh()
            return into(fragment)
          }
        waiter = what => {
          waiter = undefined
          sink = undefined
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
