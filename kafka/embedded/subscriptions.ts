/** The subscriptions of an embedded log: groups and tails, and waking them. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type {
  LogRecord,
  Position,
  StartFrom,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicPartition,
} from '../log.ts'
import { createDelivery, type Delivery } from './delivery.ts'
import { createGroup, type Group, type Member } from './group.ts'
import { type LogState, nameOf } from './state.ts'

export interface SubscriptionsOptions {
  state: LogState
  clock: Clock
  /** Time for a member to finish what it must let go of, ms. */
  revokeMs: number
  fetch(from: Position, max: number): Promise<LogRecord[]>
  /** Makes offsets of a group durable. */
  commit(group: string, next: readonly Position[]): Promise<void>
}

const bare = ({ topic, partition }: TopicPartition): TopicPartition => ({ topic, partition })

export function createSubscriptions({ state, clock, revokeMs, fetch, commit }: SubscriptionsOptions) {
  const groups = new Map<string, Group>()
  const deliveries = new Map<Delivery, readonly string[]>()
  const tails = new Set<{ topics: readonly string[]; refresh(): void }>()

  function open(options: SubscribeOptions, subscriber: Subscriber, died: () => void): Delivery {
    const delivery: Delivery = createDelivery({
      state,
      subscriber,
      clock,
      fetch,
      maxRecords: options.maxRecords ?? 500,
      died() {
        deliveries.delete(delivery)
        died()
      },
    })
    deliveries.set(delivery, options.topics)
    return delivery
  }

  // The signal only ends the wait early.
  const deadline = (signal: AbortSignal) => clock.sleep(revokeMs, signal).catch(() => undefined)

  function end(delivery: Delivery): void {
    deliveries.delete(delivery)
    delivery.end()
  }

  function groupOf(name: string): Group {
    const group =
      groups.get(name) ??
      createGroup({
        partitions: topic => state.parts(topic).map(bare),
        // A partition that was added later is read from its beginning, whatever the group's `from`.
        position: ({ topic, partition }) => ({
          topic,
          partition,
          offset: state.offsetOf(name, { topic, partition }) ?? 0,
        }),
        deadline,
      })
    groups.set(name, group)
    return group
  }

  /**
   * Where a group has no position yet, the one that it begins at is kept: a group that begins at the end and is killed
   * before its first commit does not miss what came meanwhile.
   */
  async function begin(group: string, topics: readonly string[], from: StartFrom): Promise<void> {
    const positions = topics
      .flatMap(topic => state.parts(topic))
      .filter(part => state.offsetOf(group, part) === undefined)
      .map(({ topic, partition, low, high }) => ({ topic, partition, offset: from === 'latest' ? high : low }))
    if (positions.length > 0) await commit(group, positions)
  }

  async function join(name: string, options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
    await begin(name, options.topics, options.from)
    const group = groupOf(name)
    const delivery = open(options, subscriber, () => void group.leave(member, 'gone'))
    const member: Member = { topics: options.topics, delivery, owned: new Map(), status: 'here' }
    let closing: Promise<void> | undefined
    void group.join(member)
    delivery.start()
    return {
      pause: delivery.pause,
      resume: delivery.resume,
      assignment: () => [...member.owned.values()].map(bare),
      async commit(next) {
        const own = next.filter(position => member.owned.has(nameOf(position)))
        if (own.length > 0) await commit(name, own)
      },
      close() {
        closing ??= group.leave(member, delivery.isInsideCall() ? 'gone' : 'leaving').finally(() => end(delivery))
        return closing
      },
    }
  }

  function tail(options: SubscribeOptions, subscriber: Subscriber): Subscription {
    const delivery = open(options, subscriber, () => tails.delete(self))
    const owned = new Set<string>()
    const starts = new Map(options.positions?.map(position => [nameOf(position), position.offset]))
    /** @param from where partitions begin that have no given position */
    function take(from: StartFrom): void {
      const fresh = options.topics.flatMap(topic => state.parts(topic)).filter(part => !owned.has(nameOf(part)))
      if (fresh.length === 0) return
      for (const part of fresh) owned.add(nameOf(part))
      void delivery.assign(
        fresh.map(({ topic, partition, low, high }) => {
          const offset = starts.get(nameOf({ topic, partition })) ?? (from === 'latest' ? high : low)
          return { topic, partition, offset }
        }),
      )
    }
    const self = { topics: options.topics, refresh: () => take('earliest') }
    take(options.from)
    tails.add(self)
    delivery.start()
    return {
      pause: delivery.pause,
      resume: delivery.resume,
      assignment: () => options.topics.flatMap(topic => state.parts(topic)).map(bare),
      async commit() {
        throw new RaylogError('bad-request', 'a subscription without a group has nothing to commit')
      },
      async close() {
        tails.delete(self)
        const done = new AbortController()
        const partitions = options.topics.flatMap(topic => state.parts(topic))
        if (!delivery.isInsideCall()) await Promise.race([delivery.revoke(partitions.map(bare)), deadline(done.signal)])
        done.abort()
        end(delivery)
      },
    }
  }

  return {
    async open(options: SubscribeOptions, subscriber: Subscriber): Promise<Subscription> {
      if (options.group === undefined) return tail(options, subscriber)
      return await join(options.group, options, subscriber)
    },
    /** Records of these topics were appended. */
    wake(topics: readonly string[] = state.names()): void {
      for (const [delivery, reads] of deliveries) if (topics.some(topic => reads.includes(topic))) delivery.wake()
    },
    /** Partitions may have been added: they are handed out when their groups can. */
    refresh(): void {
      for (const { refresh } of tails) refresh()
      for (const group of groups.values()) void group.refresh()
    },
    hasMembers: (group: string) => groups.get(group)?.isEmpty() === false,
    /** Lets go of everything at once; what is under way is read again by the next process. */
    end(): void {
      for (const delivery of [...deliveries.keys()]) end(delivery)
      tails.clear()
    },
  }
}
