/**
 * The brokers as this process sees them: who leads which partition, who coordinates which group, and a connection to each
 * for each purpose. A broker answers one request of a connection after the other, so what may wait long (a fetch, a join)
 * has a connection of its own.
 */
import { RaylogError } from '../../schemas/errors.ts'
import type { TopicPartition } from '../log.ts'
import { isPassing, patiently } from './faults.ts'
import { type Address, type Link, LinkError, type LinkSettings, openLink } from './link.ts'
import type { MetadataAnswer } from './protocol.ts'

export interface Wire {
  /** A connection to that broker, kept for `purpose`. @throws LinkError */
  to(node: number, purpose: string): Promise<Link>
  /** Asks any broker that answers; those that did not last time are asked last. */
  ask<Result>(question: (link: Link) => Promise<Result>): Promise<Result>
  coordinator(group: string, purpose: string): Promise<Link>
  controller(): Promise<Link>
  /** Its partitions, from 0 on. @throws RaylogError not-found */
  partitionsOf(topic: string): Promise<number>
  /** As far as is known, -1 for none. */
  leaderOf(partition: TopicPartition): number
  /** Asks again who leads what. */
  refresh(): Promise<void>
  nodeIds(): Promise<number[]>
  /** All topics of the brokers, internal ones too. */
  topicNames(): Promise<string[]>
  /** Ends the connections of a purpose. */
  hangUp(purpose: string): void
  isClosed(): boolean
  close(): void
}

const patienceMs = 20_000
/** Topics grow seldom; a stage that begins asks anyway. */
const metadataAgeMs = 30_000
const nameOf = ({ host, port }: Address) => `${host}:${port}`

export function openWire(options: LinkSettings & { brokers: readonly string[] }): Wire {
  const { clock } = options
  const links = new Map<string, Promise<Link>>()
  const nodes = new Map<number, Address>()
  /** Addresses to ask, those that answered last first. */
  let order: Address[] = options.brokers.map(toAddress)
  const topics = new Map<string, Map<number, number>>()
  const wanted = new Set<string>()
  let controllerId = -1
  let refreshing: Promise<void> | undefined
  let refreshedAt = 0
  let closed = false

  async function linkTo(address: Address, purpose: string): Promise<Link> {
    if (closed) throw new RaylogError('stopping', 'the log is closed')
    const key = `${purpose} ${nameOf(address)}`
    const kept = links.get(key)
    if (kept) {
      const link = await kept.catch(() => undefined)
      if (link?.isOpen()) return link
      if (links.get(key) === kept) links.delete(key)
      return linkTo(address, purpose)
    }
    const opening = openLink(address, { ...options, silent: last })
    links.set(key, opening)
    try {
      const link = await opening
      if (closed || links.get(key) !== opening) {
        link.end(new LinkError('closed while it was opened'))
        throw new RaylogError('stopping', 'the log is closed')
      }
      return link
    } catch (error) {
      if (links.get(key) === opening) links.delete(key)
      throw error
    }
  }

  /** Asked last from now on. */
  function last(silent: Address): void {
    const isIt = (address: Address) => nameOf(address) === nameOf(silent)
    order = [...order.filter(address => !isIt(address)), ...order.filter(isIt)]
  }

  async function ask<Result>(question: (link: Link) => Promise<Result>): Promise<Result> {
    let failure: unknown = new LinkError('no broker is known')
    for (const address of [...order]) {
      try {
        return await question(await linkTo(address, 'any'))
      } catch (error) {
        if (!(error instanceof LinkError)) throw error
        failure = error
        last(address)
      }
    }
    throw failure
  }

  function learn({ brokers, topicMetadata, controllerId: controller }: MetadataAnswer): void {
    nodes.clear()
    for (const { nodeId, host, port } of brokers) nodes.set(nodeId, { host, port })
    const seeds = options.brokers.map(toAddress)
    const all = new Map([...nodes.values(), ...seeds].map(address => [nameOf(address), address]))
    order = [...order.filter(({ host, port }) => all.has(`${host}:${port}`)), ...all.values()].filter(
      (address, at, every) => every.findIndex(other => nameOf(other) === nameOf(address)) === at,
    )
    controllerId = controller
    for (const { topic, topicErrorCode, partitionMetadata } of topicMetadata) {
      if (topicErrorCode === unknownTopic) topics.delete(topic)
      if (topicErrorCode !== 0) continue
      topics.set(topic, new Map(partitionMetadata.map(({ partitionId, leader }) => [partitionId, leader])))
    }
    refreshedAt = clock.now()
  }

  function refresh(): Promise<void> {
    refreshing ??= (async () => {
      try {
        const asked = [...wanted]
        // No name at all would ask for every topic, so one is asked for that need not exist.
        const names = asked.length > 0 ? asked : [nobody]
        learn(await ask(link => link.send('Metadata', { topics: names, allowAutoTopicCreation: false }, { raw: true })))
      } finally {
        refreshing = undefined
      }
    })()
    return refreshing
  }

  async function partitionsOf(topic: string): Promise<number> {
    const fresh = clock.now() - refreshedAt < metadataAgeMs
    if (!fresh || !topics.has(topic)) {
      wanted.add(topic)
      // One that is under way may not ask for this topic; the next asks for all that were added meanwhile.
      if (!topics.has(topic)) await refreshing?.catch(() => undefined)
      try {
        await patiently(refresh, { clock, deadlineMs: patienceMs })
      } catch (error) {
        if (!topics.has(topic) || !isPassing(error)) throw error
      }
    }
    const count = topics.get(topic)?.size ?? 0
    if (count > 0) return count
    wanted.delete(topic)
    throw new RaylogError('not-found', `there is no topic ${topic}; "raylog topics apply" makes those of Raylog`)
  }

  function addressOf(node: number): Address {
    const address = nodes.get(node)
    if (!address) throw new LinkError(`broker ${node} is not known`)
    return address
  }

  return {
    ask,
    refresh,
    partitionsOf,
    to: async (node, purpose) => linkTo(addressOf(node), purpose),
    async coordinator(groupId, purpose) {
      const { coordinator } = await ask(link => link.send('GroupCoordinator', { groupId }))
      return linkTo(coordinator, purpose)
    },
    async controller() {
      if (controllerId < 0) await refresh()
      return linkTo(addressOf(controllerId), 'any')
    },
    async nodeIds() {
      await refresh()
      return [...nodes.keys()]
    },
    leaderOf: ({ topic, partition }) => topics.get(topic)?.get(partition) ?? -1,
    async topicNames() {
      const { topicMetadata } = await ask(link =>
        link.send('Metadata', { topics: [], allowAutoTopicCreation: false }, { raw: true }),
      )
      return topicMetadata.map(({ topic }) => topic)
    },
    hangUp(purpose) {
      for (const [key, link] of links) {
        if (!key.startsWith(`${purpose} `)) continue
        links.delete(key)
        endWhenOpen(link)
      }
    },
    isClosed: () => closed,
    close() {
      closed = true
      for (const link of links.values()) endWhenOpen(link)
      links.clear()
    },
  }
}

/** The code of UNKNOWN_TOPIC_OR_PARTITION. */
const unknownTopic = 3
const nobody = '__raylog_nobody'

function endWhenOpen(link: Promise<Link>): void {
  link.then(
    opened => opened.end(new LinkError('closed')),
    () => undefined, // who opened it has heard of it
  )
}

function toAddress(broker: string): Address {
  const at = broker.lastIndexOf(':')
  return { host: broker.slice(0, at), port: Number(broker.slice(at + 1)) }
}
