/** The notify stage with webhooks alone, and receivers that answer as told. */
import { notify } from '../../consumers/notify/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { ownStores } from './own-stores.ts'
import { type Answer, startReceiver } from './receiver.ts'
import { openForTest } from './stage.ts'
import { bareHttp } from './stores.ts'

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** Of no other sleep. */
export const lookMs = 59_999

/** Time that passes by itself when someone sleeps, but not between two looks, and notes for how long. */
export function quickClock(): Clock & { slept: number[]; at: number } {
  const clock = {
    at: Date.UTC(2026, 0, 1),
    slept: [] as number[],
    now: () => clock.at,
    async sleep(ms: number, signal?: AbortSignal) {
      signal?.throwIfAborted()
      if (ms === lookMs)
        return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      clock.slept.push(ms)
      clock.at += ms
    },
  }
  return clock
}

export function webhookTests() {
  const own = ownStores()
  const { closing } = own

  /** A receiver that answers as told; `null` never answers. */
  async function receiver(answer?: (n: number) => Answer | null) {
    const started = await startReceiver(answer)
    closing.push(() => started[Symbol.asyncDispose]())
    return started
  }

  async function open(
    webhooks: object[],
    { clock = quickClock() as Clock, ...settings }: { clock?: Clock; [key: string]: unknown } = {},
  ) {
    const stage = await openForTest(
      notify,
      { ...own.stores, http: bareHttp() },
      { clock, settings: { webhooks, lookMs, ...settings } },
    )
    closing.push(() => stage.close())
    return stage
  }

  const deliveries = async () => (await own.stores.documents.find('deliveries')).items
  const counted = async (outcome: string) => {
    const { values } = await own.stores.metrics.deliveries.get()
    return values.find(value => value.labels.outcome === outcome)?.value ?? 0
  }

  return Object.assign(own, { receiver, open, deliveries, counted })
}
