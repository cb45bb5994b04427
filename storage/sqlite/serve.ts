/**
 * The thread's side: one database, one transaction at a time, as many requests in it as wait.
 *
 *   port ─▶ gather what waits ─▶ answer the reads ─▶ BEGIN, the writes, COMMIT (one fsync) ─▶ answer
 *     ▲                                                                                                        │
 *     └──────────────────── meanwhile the next requests gather in the port ◀───────────────────────────────────┘
 *
 * Reads come before the transaction and not into it, since what they would see there might be rolled back.
 */
import type { DatabaseSync } from 'node:sqlite'
import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { RaylogError } from '../../schemas/errors.ts'
import { fromSqlite, needsReopening } from './database.ts'
import type { FromThread, Operations, Reply, Request, ToThread } from './wire.ts'

export interface Operation<I, O> {
  kind: 'read' | 'write'
  run(input: I): O
  /** Buffers of the output that may move instead of being copied. */
  moves?(output: O): ArrayBuffer[]
  /** A write that the journal can keep, where there is one. */
  journalled?: boolean
}

/** Keeps what some writes did until the database is synced. */
export interface WriteJournal {
  /** Durable when it returns true; false: it cannot be kept, and the database is synced instead. */
  keep(done: readonly { input: unknown; output: unknown }[]): boolean
  /** Whether anything stands in it that the database may not have synced. */
  readonly holds: boolean
  /** All that was committed is synced. */
  reset(): void
  close(): void
}

export interface Served<O extends Operations> {
  db: DatabaseSync
  operations: { [K in keyof O]: Operation<O[K]['input'], O[K]['output']> }
  /** Told to the opener at each opening. */
  hello?: unknown
  /** Transactions of journalled writes alone are kept here, and not synced. */
  journal?: WriteJournal | undefined
  /** A write that changes next to nothing, so that its synced commit takes all earlier ones along. Where there is a journal. */
  touch?(): void
  /** Something was rolled back: what is remembered must be read again. Called inside or outside of a transaction. */
  reset?(): void
  /** Called after a commit, with the number of committed transactions: upkeep that must not be part of one. */
  committed?(commits: number): void
}

/** Bounds of one transaction: the longest that a request waits behind others, and the most that is lost at once. */
const most = { requests: 4096, bytes: 32 * 1024 * 1024 }

/** Serves until told to close, or until the database fails in a way that only a fresh opening can mend. */
export function serve<O extends Operations>(open: () => Served<O>): void {
  const port = parentPort
  if (!port) throw new Error('serve() belongs into a worker thread')
  const post = (message: FromThread, moves: ArrayBuffer[] = []) => port.postMessage(message, moves)
  let served: Served<O>
  try {
    served = open()
  } catch (thrown) {
    const { code, message } = fromSqlite(thrown)
    post({ type: 'refused', code, message })
    return
  }
  const run = createCommitter(served)

  port.on('message', (first: ToThread) => {
    let next: ToThread | undefined = first
    while (next) {
      const batch: Request[] = []
      let bytes = 0
      while (next?.type === 'requests') {
        for (const request of next.requests) {
          bytes += request.bytes
          batch.push(request)
        }
        next = batch.length < most.requests && bytes < most.bytes ? receiveMessageOnPort(port)?.message : undefined
      }
      const fatal = run(batch, post)
      if (fatal || next?.type === 'close') {
        port.close()
        served.db.close()
        served.journal?.close()
        return
      }
      next = receiveMessageOnPort(port)?.message
    }
  })
  post({ type: 'ready', hello: served.hello })
}

type Post = (message: FromThread, moves?: ArrayBuffer[]) => void

/** @returns a function that does the requests and answers them; true where the database must be opened anew */
function createCommitter<O extends Operations>(served: Served<O>): (batch: readonly Request[], post: Post) => boolean {
  const { db } = served
  const operations: Record<string, Operation<unknown, unknown>> = served.operations
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const savepoint = db.prepare('SAVEPOINT request')
  const release = db.prepare('RELEASE request')
  const undo = db.prepare('ROLLBACK TO request')
  const { journal } = served
  let commits = 0
  let fatal = false
  let synced = true

  /** Whether the commits from now on are synced. Nothing is lost to a killed process either way. */
  function sync(wanted: boolean): void {
    if (wanted !== synced) db.exec(`PRAGMA synchronous = ${wanted ? 'FULL' : 'NORMAL'}`)
    synced = wanted
  }

  /** Makes durable what was committed without a sync. @throws what keeps it from that */
  function keep(writes: readonly Request[], replies: readonly Reply[]): void {
    const done = writes.flatMap(({ input }, index) => {
      const reply = replies[index]
      return reply?.ok ? [{ input, output: reply.output }] : []
    })
    if (done.length === 0 || journal?.keep(done)) return
    sync(true)
    begin.run()
    served.touch?.()
    commit.run()
    journal?.reset()
  }

  function failure({ id }: Request, thrown: unknown): Reply {
    const { code, message } = fromSqlite(thrown)
    fatal ||= needsReopening(thrown)
    return { id, ok: false, code, message }
  }

  function attempt(request: Request, moves: ArrayBuffer[]): Reply {
    const operation = operations[request.op]
    if (!operation) throw new RaylogError('internal', `no operation ${request.op}`)
    const output = operation.run(request.input)
    if (operation.moves) moves.push(...operation.moves(output))
    return { id: request.id, ok: true, output }
  }

  function attemptAlone(request: Request, moves: ArrayBuffer[]): Reply {
    try {
      return attempt(request, moves)
    } catch (thrown) {
      return failure(request, thrown)
    }
  }

  /** A request that fails takes back its own changes only. @throws where the whole transaction is gone */
  function attemptWithin(request: Request, moves: ArrayBuffer[]): Reply {
    savepoint.run()
    try {
      const reply = attempt(request, moves)
      release.run()
      return reply
    } catch (thrown) {
      if (!db.isTransaction || needsReopening(thrown) || fromSqlite(thrown).code === 'store-full') throw thrown
      undo.run()
      release.run()
      served.reset?.()
      return failure(request, thrown)
    }
  }

  /** Where neither journal nor sync takes it, only a fresh opening tells what is there. */
  function keepOrReopen(writes: readonly Request[], replies: readonly Reply[]): void {
    try {
      keep(writes, replies)
    } catch (thrown) {
      fatal = true
      throw thrown
    }
  }

  /**
   * All requests, begun and not committed. A savepoint for each costs as much as a small write: SQLite copies every page before it
   * changes it again. So they are tried without first, and taken back together where one fails.
   */
  function beginAll(writes: readonly Request[], moves: ArrayBuffer[], replies: Reply[]): void {
    begin.run()
    try {
      for (const request of writes) replies.push(attempt(request, moves))
      return
    } catch (thrown) {
      if (!db.isTransaction || needsReopening(thrown) || fromSqlite(thrown).code === 'store-full') throw thrown
    }
    db.exec('ROLLBACK')
    served.reset?.()
    replies.length = 0
    moves.length = 0
    begin.run()
    for (const request of writes) replies.push(attemptWithin(request, moves))
  }

  function transaction(writes: readonly Request[], moves: ArrayBuffer[]): Reply[] {
    const replies: Reply[] = []
    const light = journal !== undefined && writes.every(({ op }) => operations[op]?.journalled)
    try {
      sync(!light)
      beginAll(writes, moves, replies)
      // A transaction that changes nothing is not synced.
      if (!light && journal?.holds) served.touch?.()
      commit.run()
      commits++
      if (light) keepOrReopen(writes, replies)
      else journal?.reset()
      return replies
    } catch (thrown) {
      // Nothing of it is there: those that had failed keep their own reason, all others get this one.
      moves.length = 0
      if (db.isTransaction) db.exec('ROLLBACK')
      served.reset?.()
      return writes.map((request, index) => {
        const reply = replies[index]
        return reply?.ok === false ? reply : failure(request, thrown)
      })
    }
  }

  return (batch, post) => {
    const isWrite = (request: Request) => operations[request.op]?.kind === 'write'
    const reads = batch.filter(request => !isWrite(request))
    const writes = batch.filter(isWrite)
    const moves: ArrayBuffer[] = []
    const answer = (replies: Reply[]) => post({ type: 'replies', replies, commits }, moves)
    if (reads.length > 0) answer(reads.map(request => attemptAlone(request, moves)))
    if (writes.length > 0) {
      moves.length = 0
      const before = commits
      answer(transaction(writes, moves))
      if (commits > before) served.committed?.(commits)
    }
    return fatal
  }
}
