/**
 * The one fault of kafkajs 2.2.4's connections that is mended in place; the others are avoided by not using the parts
 * that have them (docs/adr/0007-kafka-client.md lists them all).
 *
 * `RequestQueue.scheduleCheckPendingRequests` arms a timer from `throttledUntil`, which starts at -1: Node prints
 * TimeoutNegativeWarning, and an idle queue polls each millisecond. It need not be armed while nothing waits.
 */
import { type Kafkajs, loadKafkajs, pinned, type RequestQueue } from './protocol.ts'

const guarded = new WeakSet<object>()

/** kafkajs with its queue mended, once in a process. */
export function guardedKafkajs(): Kafkajs {
  const kafkajs = loadKafkajs()
  if (kafkajs.version !== pinned)
    throw new Error(`kafkajs is ${kafkajs.version}; the adapter was written for the internals of ${pinned}`)
  const { prototype } = kafkajs.RequestQueue
  if (!guarded.has(prototype)) {
    guarded.add(prototype)
    const schedule = prototype.scheduleCheckPendingRequests
    prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
      if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
    }
  }
  return kafkajs
}
