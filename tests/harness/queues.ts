/** Stores and queues of reports for each test of consumers/deliver. */
import { afterEach, beforeEach } from 'vitest'
import type { Sender } from '../../consumers/deliver/sender.ts'
import { aReport, type OpenedQueue, openTestQueue } from './reports.ts'
import { openStores, type Stores } from './stores.ts'
import { until } from './until.ts'

/** To be called once in a file: each test has stores of its own, and its queues are closed after it. */
export function queuesPerTest() {
  let stores: Stores
  const open: OpenedQueue[] = []
  beforeEach(async () => {
    stores = await openStores()
  })
  afterEach(async () => {
    for (const queue of open.splice(0)) await queue.close()
    await stores.close()
  })
  return {
    /** Of the test that runs. */
    get stores() {
      return stores
    },
    queueOf(sender: Sender, options: Parameters<typeof openTestQueue>[2] = {}): OpenedQueue {
      const queue = openTestQueue(stores, sender, options)
      open.push(queue)
      return queue
    },
    reports: (count: number) => Promise.all(Array.from({ length: count }, (_, n) => aReport(stores, n))),
    /** Waits until so many deliveries are over, sent or not. */
    over: (many: number) =>
      until(
        `${many} are over`,
        async () => (await stores.documents.count('reportDeliveries', { queue: null })) === many,
      ),
    /** Who has the destination of `openTestQueue`. */
    holder: async () =>
      (await stores.documents.find('reportQueues', { where: { destination: 'there' }, limit: 1 })).items[0],
  }
}
