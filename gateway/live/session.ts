/**
 * One client. It is `idle` until it joins; then `replaying` (live events wait in a buffer), `following` (live events are filtered by
 * offset, since the replay may have been ahead of the tail), and in the end `rooms` (socket.io sends one encoding to all).
 *
 *   idle → replaying → following → rooms
 *            ↑____________|__________|  (join again)         any → gone; a join that fails → idle
 */

import type { Logger } from 'pino'
import type { Socket } from 'socket.io'
import type { EventLog } from '../../kafka/log.ts'
import type { Codec } from '../../kafka/ports.ts'
import { errorTable, RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { Follower, Hub } from './hub.ts'
import type { LiveItem, LiveTopic } from './items.ts'
import { partitionName } from './items.ts'
import type { Bye, ClientToServer, JoinAnswer, JoinRequest, ServerToClient } from './messages.ts'
import { planReplay, type Range, readRange } from './replay.ts'

export type LiveSocket = Socket<ClientToServer, ServerToClient>

export interface SessionOptions {
  socket: LiveSocket
  hub: Hub
  log: EventLog
  codec: Codec
  topics: readonly LiveTopic[]
  logger: Logger
  /** Messages that may wait for a client before it is sent away. */
  maxQueued: number
  maxReplay: number
  /** Runs a replay when fewer than a few others run: a hundred dashboards that come back together do not stop the log. */
  limit<T>(work: () => Promise<T>): Promise<T>
}

export interface Session {
  join(request: JoinRequest): Promise<JoinAnswer>
  /** Says why, sends what is queued, and closes; after `graceMs` without. */
  leave(reason: Bye['reason']): void
  closed(): void
}

const graceMs = 5_000
/** A client waits for one join before the next; one that does not is not served a replay for each. */
const maxJoinsWaiting = 4

export function createSession(options: SessionOptions): Session {
  const { socket, hub, log, codec, topics, logger, maxQueued, maxReplay, limit } = options
  let mode: 'idle' | 'replaying' | 'following' | 'rooms' | 'gone' = 'idle'
  let rooms: ReadonlySet<string> = new Set()
  /** By partition, the first offset that this client has not been given. */
  let next = new Map<string, number>()
  let buffer: LiveItem[] = []
  let joins: Promise<unknown> = Promise.resolve()
  let joinsWaiting = 0
  let grace: NodeJS.Timeout | undefined
  const queue = watchQueue(socket, maxQueued, () => leave('slow'))

  const follower: Follower = {
    offer(item) {
      if (mode === 'following') {
        pass(item)
        enterRoomsWhenLevel()
      } else if (mode === 'replaying') {
        buffer.push(item)
        if (buffer.length > maxQueued) leave('slow')
      }
    },
  }

  /** Each record at most once, in order, and only what was asked for. */
  function pass(item: LiveItem): boolean {
    if (item.at.offset < (next.get(item.partition) ?? 0)) return false
    next.set(item.partition, item.at.offset + 1)
    if (!item.rooms.some(room => rooms.has(room))) return false
    item.send(socket)
    return true
  }

  /** From here on the rooms give what this filter would: nothing that was replayed is still to come from the tail. */
  function enterRoomsWhenLevel(): void {
    for (const [partition, offset] of next) if (offset > (hub.next.get(partition) ?? 0)) return
    mode = 'rooms'
    hub.unfollow(follower)
    void socket.join([...rooms])
  }

  function positions(): Map<string, number> {
    const merged = new Map(hub.next)
    if (mode !== 'following') return merged
    for (const [partition, offset] of next) merged.set(partition, Math.max(offset, merged.get(partition) ?? 0))
    return merged
  }

  async function replayRange(range: Range): Promise<number> {
    let sent = 0
    const topic = topics.find(({ name }) => name === range.topic)
    for await (const records of readRange(log, range)) {
      for (const record of records) {
        if (mode !== 'replaying') throw new RaylogError('stopping', 'The connection is gone.')
        const item = await topic?.read(codec, record).catch(skip(range.topic, record.offset))
        if (item && pass(item)) sent++
      }
      await queue.drained()
    }
    next.set(partitionName(range), Math.max(range.to, next.get(partitionName(range)) ?? 0))
    return sent
  }

  const skip = (topic: string, offset: number) => (error: unknown) => {
    logger.warn({ code: toRaylogError(error).code, topic, offset }, 'a record was left out of a replay')
    return undefined
  }

  async function replay(request: JoinRequest, pushed: ReadonlyMap<string, number>) {
    if (request.recent === 0 && Object.keys(request.after).length === 0) return { replayed: 0, truncated: false }
    const names = topics.map(({ name }) => name)
    const { ranges, truncated } = planReplay({
      topics: await log.topics(),
      names,
      pushed,
      request,
      maxRecords: maxReplay,
    })
    for (const range of ranges) next.set(partitionName(range), range.from)
    let replayed = 0
    for (const range of ranges) replayed += await replayRange(range)
    return { replayed, truncated }
  }

  async function joinNow(request: JoinRequest): Promise<JoinAnswer> {
    if (mode === 'gone') throw new RaylogError('stopping', 'The connection is gone.')
    // No await between these: what is pushed before goes by the old rooms, what comes after waits in the buffer.
    const pushed = positions()
    for (const room of rooms) void socket.leave(room)
    mode = 'replaying'
    rooms = new Set(request.rooms)
    next = new Map(pushed)
    buffer = []
    hub.follow(follower)
    const { replayed, truncated } = await limit(() => replay(request, pushed))
    if (mode !== 'replaying') throw new RaylogError('stopping', 'The connection is gone.')
    mode = 'following'
    for (const item of buffer) pass(item)
    buffer = []
    const at = Object.fromEntries([...next].map(([partition, offset]) => [partition, offset - 1]))
    enterRoomsWhenLevel()
    return { ok: true, rooms: [...rooms], at, replayed, truncated }
  }

  function stopAs(last: 'idle' | 'gone'): void {
    mode = last
    buffer = []
    hub.unfollow(follower)
    for (const room of rooms) void socket.leave(room)
    rooms = new Set()
  }

  function leave(reason: Bye['reason']): void {
    if (mode === 'gone') return
    stopAs('gone')
    logger.warn({ reason, socket: socket.id }, 'a live client is sent away; it can resume by offset')
    socket.emit('bye', { reason })
    // Not socket.disconnect(): after that socket.io's client would not come back by itself.
    socket.conn.close()
    grace = setTimeout(() => socket.conn.close(true), graceMs)
    grace.unref()
  }

  return {
    leave,
    join(request) {
      if (joinsWaiting >= maxJoinsWaiting)
        return Promise.resolve({ ok: false, code: 'busy', detail: errorTable.busy.title })
      joinsWaiting++
      const mine = joins
        .then(() => joinNow(request))
        .finally(() => joinsWaiting--)
        .catch((thrown: unknown): JoinAnswer => {
          const error = toRaylogError(thrown)
          if (mode !== 'gone') stopAs('idle')
          if (error.code === 'internal') logger.error({ code: error.code }, 'a join failed')
          return { ok: false, code: error.code, detail: error.entry.title }
        })
      joins = mine
      return mine
    },
    closed() {
      stopAs('gone')
      queue.close()
      clearTimeout(grace)
    },
  }
}

/** Counts packets that wait because the network does not take them. @param overflow called once it is more than `max` */
function watchQueue({ conn }: LiveSocket, max: number, overflow: () => void) {
  let waiting = 0
  let closed = false
  let wake: (() => void)[] = []
  const wakeAll = () => {
    const all = wake
    wake = []
    for (const resolve of all) resolve()
  }
  conn.on('packetCreate', () => {
    waiting++
    // Not within a broadcast, which walks over the sockets.
    if (waiting === max + 1) queueMicrotask(overflow)
  })
  conn.on('flush', () => {
    waiting = 0
    wakeAll()
  })
  return {
    /** Resolves when the network has taken what was sent before the last, so that a replay does not pile up. */
    async drained(): Promise<void> {
      while (waiting > 0 && !closed) await new Promise<void>(resolve => wake.push(resolve))
    },
    close() {
      closed = true
      wakeAll()
    },
  }
}
