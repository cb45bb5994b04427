/**
 * Writes batches to the leaders of their partitions, and knows of each batch by itself whether it was written.
 *
 *   lane (a partition): waiting records ─▶ one batch under way ─▶ written │ repeated as it was │ given up
 *
 * Idempotent: a repeated batch keeps its sequence number, so the broker takes it once. A batch that is given up may have
 * been written after all; its number must never be used for other records (the broker would take them for the old ones,
 * and answer that they are written), so its lane goes on under a new producer id.
 */
import type { Logger } from 'pino'
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { backoff, isPassing, patiently, toLogError, typeOf } from './faults.ts'
import { type Batch, emptyLane, fill, type Identity, type Lane, type Outgoing } from './lane.ts'
import { LinkError } from './link.ts'
import type { Kafkajs } from './protocol.ts'
import type { Wire } from './wire.ts'

export interface Producer {
  /** @returns the offset of each record, when all are on every in-sync replica */
  write(topic: string, partition: number, records: readonly Outgoing[]): Promise<number[]>
  /** Resolves when what was begun has been answered. */
  close(): Promise<void>
}

/** Brokers take requests of 100 MB. */
const maxRequestBytes = 8_000_000
/** The broker waits so long for the replicas, and the client a little longer for the broker. */
const replicaTimeoutMs = 4_000
const answerTimeoutMs = 6_000
const maxSequence = 2_147_483_647

export function createProducer(options: {
  wire: Pick<Wire, 'leaderOf' | 'to' | 'ask' | 'refresh' | 'isClosed'>
  kafkajs: Kafkajs
  clock: Clock
  logger: Logger
  /** After this time a record that is not confirmed is given up, ms. */
  deliveryMs: number
}): Producer {
  const { wire, kafkajs, clock, logger, deliveryMs } = options
  const lanes = new Map<string, Lane>()
  const busy = new Set<number>()
  let identity: Promise<Identity> | undefined
  let recovering = false
  let recoveries = 0
  let idle: (() => void) | undefined

  function laneOf(topic: string, partition: number): Lane {
    const name = `${topic}/${partition}`
    const lane = lanes.get(name) ?? emptyLane(topic, partition)
    lanes.set(name, lane)
    return lane
  }

  /** Sends what can be sent: one request at a time to each broker, with a batch of every partition that it leads. */
  function pump(): void {
    const byLeader = new Map<number, Lane[]>()
    for (const lane of lanes.values()) {
      fill(lane)
      if (!lane.batch || lane.sent || lane.held) continue
      const leader = wire.leaderOf(lane)
      if (leader < 0) again(lane, new LinkError(`${lane.topic}/${lane.partition} has no leader`))
      else if (!busy.has(leader)) byLeader.set(leader, [...(byLeader.get(leader) ?? []), lane])
    }
    for (const [leader, ready] of byLeader) void request(leader, ready)
    if (byLeader.size === 0 && busy.size === 0) idle?.()
  }

  async function request(leader: number, ready: readonly Lane[]): Promise<void> {
    busy.add(leader)
    const taken: Lane[] = []
    try {
      identity ??= newIdentity()
      const current = await identity
      let bytes = 0
      for (const lane of ready) {
        const { batch } = lane
        if (!batch || lane.sent || lane.held) continue
        if (taken.length > 0 && bytes + batch.bytes > maxRequestBytes) continue
        // Batches of one request share their producer id; those of an older one go by themselves.
        if (!lane.identity || (batch.sequence < 0 && lane.identity !== current)) lane.identity = takeUp(lane, current)
        if (lane.identity !== (taken[0]?.identity ?? lane.identity)) continue
        if (batch.sequence < 0) batch.sequence = lane.sequence
        lane.sent = true
        taken.push(lane)
        bytes += batch.bytes
      }
      const first = taken[0]?.identity
      if (first) await send(leader, taken, first)
    } catch (error) {
      for (const lane of taken.length > 0 ? taken : ready) again(lane, error)
    } finally {
      busy.delete(leader)
      pump()
    }
  }

  function takeUp(lane: Lane, current: Identity): Identity {
    lane.sequence = 0
    if (lane.batch) lane.batch.sequence = 0
    return current
  }

  async function send(leader: number, taken: readonly Lane[], by: Identity): Promise<void> {
    const link = await wire.to(leader, 'produce')
    const { topics } = await link.send(
      'Produce',
      {
        acks: -1,
        timeout: replicaTimeoutMs,
        compression: 0,
        ...by,
        topicData: [...Map.groupBy(taken, ({ topic }) => topic)].map(([topic, ofTopic]) => ({
          topic,
          partitions: ofTopic.map(({ partition, batch }) => ({
            partition,
            firstSequence: batch?.sequence ?? 0,
            messages: batch?.messages ?? [],
          })),
        })),
      },
      { raw: true, timeoutMs: answerTimeoutMs },
    )
    const answers = new Map(
      topics.flatMap(({ topicName, partitions }) => partitions.map(one => [`${topicName}/${one.partition}`, one])),
    )
    for (const lane of taken) {
      const answer = answers.get(`${lane.topic}/${lane.partition}`)
      if (answer?.errorCode === 0 && Number(answer.baseOffset) >= 0) written(lane, Number(answer.baseOffset))
      else again(lane, answer ? kafkajs.errorFromCode(answer.errorCode) : new LinkError('a partition was left out'))
    }
  }

  function written(lane: Lane, baseOffset: number): void {
    const { batch } = lane
    if (!batch) return
    lane.batch = undefined
    lane.sent = false
    lane.sequence = (lane.sequence + batch.messages.length) % (maxSequence + 1)
    let offset = baseOffset
    for (const { records, resolve } of batch.parts) resolve(records.map(() => offset++))
  }

  /** The batch is sent again as it was, when it is known where to; or it is given up. */
  function again(lane: Lane, error: unknown): void {
    const { batch } = lane
    lane.sent = false
    if (!batch) return
    const anew = needsNewIdentity.has(typeOf(error))
    if (anew) forget(lane)
    if (!(anew || isPassing(error)) || clock.now() >= batch.deadline) giveUp(lane, batch, error)
    else {
      lane.held = true
      recover(error)
    }
  }

  /** The lane's next batch goes under an id that the brokers have not seen. */
  function forget(lane: Lane): void {
    lane.identity = undefined
    identity = undefined
  }

  function giveUp(lane: Lane, batch: Batch, error: unknown): void {
    forget(lane)
    lane.batch = undefined
    const reason = reasonOf(lane, error)
    for (const { reject } of batch.parts) reject(reason)
    const late = lane.waiting.filter(({ deadline }) => clock.now() >= deadline)
    lane.waiting = lane.waiting.filter(({ deadline }) => clock.now() < deadline)
    for (const { reject } of late) reject(reason)
  }

  function reasonOf({ topic, partition }: Lane, error: unknown): RaylogError {
    if (typeOf(error) === 'MESSAGE_TOO_LARGE')
      return new RaylogError('too-large', `the brokers refuse a record of ${topic}; see its max.message.bytes`)
    const { code, message } = toLogError(error)
    return new RaylogError(code, `${topic}/${partition} was not confirmed: ${message}`, { cause: error })
  }

  /** Asks who leads what before the next attempt; more slowly the longer it goes on. */
  function recover(error: unknown): void {
    if (recovering) return
    recovering = true
    recoveries++
    void (async () => {
      logger.debug({ err: error }, 'a write failed; trying again')
      const wait = Math.min(backoff.firstMs * 2 ** Math.min(recoveries, 10), backoff.mostMs)
      try {
        await clock.sleep(wait)
        await wire.refresh()
        recoveries = 0
      } catch (again) {
        logger.debug({ err: again }, 'the brokers do not answer; trying again')
      }
      recovering = false
      for (const lane of lanes.values()) {
        const { batch } = lane
        lane.held = false
        if (batch && !lane.sent && (clock.now() >= batch.deadline || wire.isClosed())) giveUp(lane, batch, error)
      }
      pump()
    })()
  }

  const newIdentity = (): Promise<Identity> =>
    patiently(() => wire.ask(link => link.send('InitProducerId', { transactionTimeout: 60_000 })), {
      clock,
      deadlineMs: answerTimeoutMs,
    }).catch(error => {
      identity = undefined
      throw error
    })

  return {
    write: (topic, partition, records) =>
      new Promise((resolve, reject) => {
        const bytes = records.reduce((sum, record) => sum + record.bytes, 0)
        const deadline = clock.now() + deliveryMs
        laneOf(topic, partition).waiting.push({ records, bytes, deadline, resolve, reject })
        // What is appended in one go of the event loop goes with one request.
        queueMicrotask(pump)
      }),
    close: () =>
      new Promise(resolve => {
        idle = () => {
          if ([...lanes.values()].every(({ batch, waiting }) => !batch && waiting.length === 0)) resolve()
        }
        pump()
      }),
  }
}

/** The broker no longer knows what this producer wrote: the batch begins anew, and may be there twice. */
const needsNewIdentity = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])
