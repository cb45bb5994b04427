/**
 * A group's coordinator, spoken to as one member: join, say that one lives, commit, leave. Each call finds the coordinator
 * again after a failure, so it goes on when the group moves to another broker.
 */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Position, TopicPartition } from '../log.ts'
import { assign, decodeShare, decodeTopics, encodeShare, encodeTopics, protocolName } from './assign.ts'
import { isPassing, patiently, typeOf } from './faults.ts'
import type { Link } from './link.ts'
import { fetchCommitted, toTopics } from './offset-store.ts'
import type { Api, Kafkajs } from './protocol.ts'
import type { Wire } from './wire.ts'

export interface GroupSettings {
  /** A member that is silent so long has lost its partitions, ms. */
  sessionTimeoutMs: number
  heartbeatMs: number
  /** Time that a member may take to drain before a rebalance goes on without it, ms. */
  rebalanceTimeoutMs: number
  /**
   * The name of this process in its groups (static membership, KIP-345): when it was killed or stopped and is back within the
   * session timeout, it goes on with its partitions and the others notice nothing. Of two with one name the older one fails.
   */
  instanceId?: string | null
}

/** A member's part in one generation of its group. */
export interface Session {
  generationId: number
  memberId: string
  assigned: TopicPartition[]
  /** Partitions of each topic, as they were counted; who has it looks for more of them. */
  counted: ReadonlyMap<string, number> | undefined
}

/** What the coordinator says to a sign of life: go on, let go and join again, or it has forgotten this member. */
export type Standing = 'steady' | 'rebalance' | 'lost'

export interface Member {
  /** Waits until the group has agreed. @throws what cannot pass, or the signal's reason */
  join(signal: AbortSignal): Promise<Session>
  heartbeat(session: Session): Promise<Standing>
  /** @returns false: the partitions are another's by now, and nothing was committed */
  commit(session: Session, next: readonly Position[]): Promise<boolean>
  committed(partitions: readonly TopicPartition[]): Promise<Position[]>
  /** At most once, and only as a courtesy: the session timeout does the same later. One with a name keeps its place. */
  leave(): Promise<void>
  hangUp(): void
}

const lost = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])
/** The answer to a join or a sync comes when the slowest member is there. */
const graceMs = 10_000
const leaveMs = 5_000
const forever = Number.POSITIVE_INFINITY

export function createMember(options: {
  wire: Wire
  kafkajs: Kafkajs
  clock: Clock
  group: string
  topics: readonly string[]
  /** Names this member's connection. */
  purpose: string
  settings: GroupSettings
}): Member {
  const { wire, kafkajs, clock, group: groupId, topics, purpose, settings } = options
  const { sessionTimeoutMs, rebalanceTimeoutMs, instanceId } = settings
  const instance = instanceId ? { groupInstanceId: instanceId } : {}
  let memberId = ''
  let known: Link | undefined

  async function coordinator(): Promise<Link> {
    if (!known?.isOpen()) known = await wire.coordinator(groupId, purpose)
    return known
  }

  /** Forgets the coordinator after a failure: it may have moved. */
  async function ask<Name extends keyof Api>(name: Name, asked: Api[Name][0], timeoutMs?: number) {
    try {
      return await (await coordinator()).send(name, asked, timeoutMs === undefined ? {} : { timeoutMs })
    } catch (error) {
      if (isPassing(error) && typeOf(error) !== 'REBALANCE_IN_PROGRESS') known = undefined
      throw error
    }
  }

  async function enter(): Promise<Api['JoinGroup'][1]> {
    const request = () =>
      ask(
        'JoinGroup',
        {
          groupId,
          memberId,
          ...instance,
          sessionTimeout: sessionTimeoutMs,
          rebalanceTimeout: rebalanceTimeoutMs,
          protocolType: 'consumer',
          groupProtocols: [{ name: protocolName, metadata: encodeTopics(topics, kafkajs) }],
        },
        rebalanceTimeoutMs + graceMs,
      )
    try {
      return await request()
    } catch (error) {
      // Brokers hand out the id first, so that a member whose answer is lost is not counted twice.
      if (!(error instanceof Error) || !('memberId' in error) || typeof error.memberId !== 'string') throw error
      memberId = error.memberId
      return await request()
    }
  }

  async function shares(members: Api['JoinGroup'][1]['members']) {
    const readers = members.map(({ memberId: id, memberMetadata }) => ({
      memberId: id,
      topics: decodeTopics(memberMetadata, kafkajs),
    }))
    const names = [...new Set(readers.flatMap(reader => reader.topics))]
    await wire.refresh()
    const counted = await countAll(names)
    const groupAssignment = [...assign(readers, counted)].map(([id, share]) => ({
      memberId: id,
      memberAssignment: encodeShare(share, kafkajs),
    }))
    return { counted, groupAssignment }
  }

  const countAll = async (names: readonly string[]): Promise<Map<string, number>> =>
    new Map(await Promise.all(names.map(async name => [name, await countOf(name)] as const)))

  /** A topic that another member asks for and that is not there has no partitions to share. */
  async function countOf(topic: string): Promise<number> {
    try {
      return await wire.partitionsOf(topic)
    } catch (error) {
      if (error instanceof RaylogError && error.code === 'not-found') return 0
      throw error
    }
  }

  async function joinOnce(): Promise<Session> {
    try {
      const joined = await enter()
      memberId = joined.memberId
      const mine = joined.leaderId === memberId ? await shares(joined.members) : undefined
      const { memberAssignment } = await ask(
        'SyncGroup',
        {
          groupId,
          memberId,
          ...instance,
          generationId: joined.generationId,
          groupAssignment: mine?.groupAssignment ?? [],
        },
        rebalanceTimeoutMs + graceMs,
      )
      const assigned = decodeShare(memberAssignment, kafkajs).filter(({ topic }) => topics.includes(topic))
      // A leader that came back under its name is not told that it leads, so each of these counts for itself.
      const counted = mine?.counted ?? (instanceId ? await countAll(topics) : undefined)
      return { generationId: joined.generationId, memberId, assigned, counted }
    } catch (error) {
      if (typeOf(error) === 'UNKNOWN_MEMBER_ID') memberId = ''
      throw error
    }
  }

  return {
    async join(signal) {
      for (;;) {
        try {
          return await patiently(joinOnce, { clock, deadlineMs: forever, signal })
        } catch (error) {
          if (signal.aborted || !['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].includes(typeOf(error))) throw error
        }
      }
    },
    async heartbeat({ generationId, memberId: id }) {
      try {
        await ask('Heartbeat', { groupId, memberId: id, ...instance, groupGenerationId: generationId })
        return 'steady'
      } catch (error) {
        if (typeOf(error) === 'REBALANCE_IN_PROGRESS') return 'rebalance'
        if (lost.has(typeOf(error))) return 'lost'
        throw error
      }
    },
    async commit({ generationId, memberId: id }, next) {
      try {
        await ask('OffsetCommit', { groupId, memberId: id, groupGenerationId: generationId, topics: toTopics(next) })
        return true
      } catch (error) {
        if (lost.has(typeOf(error))) return false
        throw error
      }
    },
    committed: partitions => fetchCommitted(coordinator, groupId, partitions, kafkajs),
    async leave() {
      if (memberId === '' || instanceId) return
      const id = memberId
      memberId = ''
      try {
        // Its own connection may be waiting for the answer to a join.
        const link = await wire.coordinator(groupId, 'any')
        await link.send('LeaveGroup', { groupId, memberId: id }, { timeoutMs: leaveMs })
      } catch (error) {
        if (!isPassing(error) && !lost.has(typeOf(error))) throw error
      }
    },
    hangUp: () => wire.hangUp(purpose),
  }
}
