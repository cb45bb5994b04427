/**
 * kafkajs 2.2.4 has faults that its last release keeps. Each is guarded here, once, by wrapping a method of the installed
 * version; the version is pinned, and `guards.test.ts` fails when a method is no longer what the guard expects.
 *
 * 1. `RequestQueue.scheduleCheckPendingRequests` arms a timer from `throttledUntil`, which starts at -1: Node prints
 *    TimeoutNegativeWarning, and an idle queue polls each millisecond. It need not be armed while nothing waits.
 * 2. `ConsumerGroup.joinAndSync` lets go of all partitions without a word to who reads them. A consumer that wants to
 *    finish and commit first hangs a `beforeJoin` on its assigner; it is awaited, with heartbeats meanwhile.
 */
import { createRequire } from 'node:module'
import type { PartitionAssigner } from 'kafkajs'

const require = createRequire(import.meta.url)

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(): void
}

interface ConsumerGroup {
  assigners: readonly object[]
  memberId: string | null
  coordinator: object | null
  heartbeat(options: { interval: number }): Promise<void>
  joinAndSync(): Promise<void>
}

const beforeJoinOf = new WeakMap<object, () => Promise<void>>()

/** Has `hook` awaited before the consumer with this assigner joins its group again. */
export function beforeEachJoin(assigner: PartitionAssigner, hook: () => Promise<void>): PartitionAssigner {
  return config => {
    const made = assigner(config)
    beforeJoinOf.set(made, hook)
    return made
  }
}

const heartbeatMs = 500
let guarded = false

/** Wraps the methods, once in a process. */
export function guardKafkajs(): void {
  if (guarded) return
  guarded = true
  const queue: { prototype: RequestQueue } = require('kafkajs/src/network/requestQueue')
  const schedule = queue.prototype.scheduleCheckPendingRequests
  queue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }

  const group: { prototype: ConsumerGroup } = require('kafkajs/src/consumer/consumerGroup')
  const join = group.prototype.joinAndSync
  group.prototype.joinAndSync = async function (this: ConsumerGroup) {
    for (const assigner of this.assigners) {
      const hook = beforeJoinOf.get(assigner)
      if (hook) await withHeartbeats(this, hook)
    }
    return join.call(this)
  }
}

/** The coordinator waits for the rebalance timeout, but only for members whose hearts beat. */
async function withHeartbeats(group: ConsumerGroup, hook: () => Promise<void>): Promise<void> {
  if (!group.memberId || !group.coordinator) return hook()
  const timer = setInterval(() => {
    // "Rebalance in progress" is the answer that is expected here, and counts as a heartbeat.
    group.heartbeat({ interval: 0 }).catch(() => undefined)
  }, heartbeatMs)
  try {
    await hook()
  } finally {
    clearInterval(timer)
  }
}
