/**
 * The caller's side of a SQLite thread.
 *
 *   opening ─▶ open ─▶ dead ─▶ opening …        (a dead thread is opened again by the next call)
 *                └──▶ closed
 *
 * A request whose thread died is rejected as unavailable: it may or may not have become durable, so its caller does it
 * again, which deterministic ids and at-least-once delivery allow.
 */
import { Worker } from 'node:worker_threads'
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'
import type { FromThread, Operations, Reply, Request, ToThread } from './wire.ts'

export interface ThreadOptions {
  /** A module that calls `serve`. */
  module: URL
  /** Its workerData. */
  data: unknown
  /** The code for "does not answer". */
  unavailable: 'store-unavailable' | 'log-unavailable'
  /** Called at each opening, before any call is sent, with what the database says of itself. */
  opened?(hello: unknown): void
  /** Requests that wait may hold so much, bytes; above it they are refused as busy. Default 256 MiB. */
  maxPendingBytes?: number
}

export interface SqliteThread<O extends Operations> {
  /** @throws RaylogError what the operation threw; store-full; unavailable where the thread died; busy; stopping */
  call<K extends keyof O & string>(op: K, input: O[K]['input'], bytes?: number): Promise<O[K]['output']>
  /** Transactions that the present thread has committed. */
  commits(): number
  /** Ends the thread as a fault would. The next call opens it again. */
  kill(): Promise<void>
  /** Waits for what was asked before, then ends the thread. */
  close(): Promise<void>
}

/** Between two attempts to open a database that could not be opened, ms. */
const reopenAfterMs = 300

interface Pending {
  resolve(output: unknown): void
  reject(error: Error): void
  bytes: number
}

/** @throws RaylogError data-in-use, store-full, unavailable where it cannot be opened the first time */
export async function openThread<O extends Operations>(options: ThreadOptions): Promise<SqliteThread<O>> {
  const pending = new Map<number, Pending>()
  const maxPendingBytes = options.maxPendingBytes ?? 256 * 1024 * 1024
  let pendingBytes = 0
  let lastId = 0
  let commits = 0
  let worker: Worker | undefined
  let opening: Promise<void> | undefined
  let closing: Promise<void> | undefined
  let outbox: Request[] = []

  const fail = (code: ErrorCode, message: string) =>
    new RaylogError(code === 'store-unavailable' ? options.unavailable : code, message)

  function settle(reply: Reply): void {
    const waiting = pending.get(reply.id)
    if (!waiting) return
    pending.delete(reply.id)
    pendingBytes -= waiting.bytes
    if (reply.ok) waiting.resolve(reply.output)
    else waiting.reject(fail(reply.code, reply.message))
  }

  function died(reason: string): void {
    worker = undefined
    outbox = []
    for (const id of [...pending.keys()]) settle({ id, ok: false, code: options.unavailable, message: reason })
  }

  function start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fresh = new Worker(options.module, { workerData: options.data })
      let reason = 'the database thread ended'
      fresh.on('message', (message: FromThread) => {
        if (message.type === 'replies') {
          commits = message.commits
          for (const reply of message.replies) settle(reply)
        } else if (message.type === 'ready') {
          options.opened?.(message.hello)
          worker = fresh
          resolve()
        } else {
          reject(fail(message.code, message.message))
        }
      })
      fresh.on('error', error => {
        reason = `the database thread failed: ${error instanceof Error ? error.message : String(error)}`
      })
      fresh.on('exit', () => {
        reject(fail(options.unavailable, reason))
        if (worker === fresh) died(reason)
      })
    })
  }

  function open(): Promise<void> {
    opening ??= start().then(
      () => {
        opening = undefined
      },
      error => {
        // Callers that try again are told the same for a while: each attempt costs a thread.
        setTimeout(() => {
          opening = undefined
        }, reopenAfterMs).unref()
        throw error
      },
    )
    return opening
  }

  function flush(): void {
    if (outbox.length === 0 || !worker) return
    const message: ToThread = { type: 'requests', requests: outbox }
    outbox = []
    worker.postMessage(message)
  }

  /** Calls made in one turn of the event loop go in one message: posting costs more than most requests. */
  function send(op: string, input: unknown, bytes: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++lastId
      pending.set(id, { resolve, reject, bytes })
      pendingBytes += bytes
      if (outbox.push({ id, op, input, bytes }) === 1) setImmediate(flush)
    })
  }

  async function end(): Promise<void> {
    await opening?.catch(() => undefined) // whoever opened it has been told
    flush()
    const last = worker
    if (!last) return
    const ended = new Promise<void>(resolve => last.once('exit', () => resolve()))
    const message: ToThread = { type: 'close' }
    last.postMessage(message)
    await ended
  }

  await open()
  return {
    async call(op, input, bytes = 256) {
      if (closing) throw new RaylogError('stopping', 'the database is closed')
      if (pendingBytes + bytes > maxPendingBytes && pending.size > 0)
        throw new RaylogError('busy', `more than ${maxPendingBytes} bytes wait to be written`)
      if (!worker) await open()
      return await send(op, input, bytes)
    },
    commits: () => commits,
    async kill() {
      await worker?.terminate()
    },
    close() {
      closing ??= end()
      return closing
    },
  }
}
