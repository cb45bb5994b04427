/**
 * A consumer group within the process: its members share the partitions of its topics.
 *
 * When members come or go, or partitions are added, those partitions that change hands are revoked first; the rest goes on.
 * Only when their member has let go (or the deadline has passed) does the next one get them, from the committed offset.
 */
import type { Position, TopicPartition } from '../log.ts'
import type { Delivery } from './delivery.ts'
import { nameOf } from './state.ts'

export interface Member {
  readonly topics: readonly string[]
  readonly delivery: Pick<Delivery, 'assign' | 'revoke'>
  /** Partitions that are its own, by name. */
  readonly owned: Map<string, TopicPartition>
  /** `leaving` members give up what they have, `gone` ones are not asked any more. */
  status: 'here' | 'leaving' | 'gone'
}

export interface GroupOptions {
  partitions(topic: string): readonly TopicPartition[]
  /** Where the group reads on. */
  position(of: TopicPartition): Position
  /** Resolves when members have had their time to let go; the signal ends the wait. */
  deadline(signal: AbortSignal): Promise<void>
}

export type Group = ReturnType<typeof createGroup>

export function createGroup({ partitions, position, deadline }: GroupOptions) {
  const members = new Set<Member>()
  let rebalancing: Promise<void> = Promise.resolve()

  async function letGo(member: Member, lost: readonly TopicPartition[]): Promise<void> {
    const done = new AbortController()
    if (member.status !== 'gone') await Promise.race([member.delivery.revoke(lost), deadline(done.signal)])
    done.abort()
    for (const partition of lost) member.owned.delete(nameOf(partition))
  }

  async function rebalance(): Promise<void> {
    const staying = [...members].filter(member => member.status === 'here')
    const target = share(staying, partitions)
    await Promise.all(
      [...members].map(async member => {
        const keeps = target.get(member)
        const lost = [...member.owned].filter(([name]) => !keeps?.has(name)).map(([, partition]) => partition)
        if (lost.length > 0) await letGo(member, lost)
      }),
    )
    for (const member of members) if (member.status !== 'here') members.delete(member)
    for (const [member, wanted] of target) {
      const gained = [...wanted].filter(([name]) => !member.owned.has(name)).map(([, partition]) => partition)
      if (gained.length === 0 || member.status !== 'here') continue
      for (const partition of gained) member.owned.set(nameOf(partition), partition)
      // Not awaited: a member that is busy does not keep the others from their partitions.
      void member.delivery.assign(gained.map(position))
    }
  }

  /** One after the other; resolves when what was known at the call is in effect. */
  function refresh(): Promise<void> {
    rebalancing = rebalancing.then(rebalance)
    return rebalancing
  }

  return {
    refresh,
    isEmpty: () => members.size === 0,
    topics: () => new Set([...members].flatMap(member => member.topics)),
    join(member: Member): Promise<void> {
      members.add(member)
      return refresh()
    },
    /** @param how `leaving`: it is asked to finish and commit; `gone`: it cannot be asked */
    leave(member: Member, how: 'leaving' | 'gone'): Promise<void> {
      member.status = how
      return refresh()
    },
  }
}

type Share = Map<string, TopicPartition>

/**
 * Who should have what: everyone keeps what they have as far as the numbers allow, so that as little as possible changes
 * hands. Afterwards no member has two partitions more than another that reads the same topics.
 */
export function share<M extends Pick<Member, 'topics' | 'owned'>>(
  members: readonly M[],
  partitions: GroupOptions['partitions'],
): Map<M, Share> {
  const shares = new Map<M, Share>(members.map(member => [member, new Map()]))
  const readers = (topic: string) => [...shares].filter(([member]) => member.topics.includes(topic))
  const least = (of: [M, Share][]) => of.sort(([, a], [, b]) => a.size - b.size)[0]
  for (const topic of new Set(members.flatMap(member => member.topics))) {
    for (const partition of partitions(topic)) {
      const name = nameOf(partition)
      const candidates = readers(topic)
      const keeper = candidates.find(([member]) => member.owned.has(name)) ?? least(candidates)
      keeper?.[1].set(name, partition)
    }
  }
  while (moveOne(shares));
  return shares
}

/** Moves one partition from a member to one that has at least two fewer. @returns whether there was one to move */
function moveOne<M extends Pick<Member, 'topics'>>(shares: Map<M, Share>): boolean {
  const bySize = [...shares].sort(([, a], [, b]) => a.size - b.size)
  for (const [poor, few] of bySize) {
    for (const [, many] of bySize.toReversed()) {
      if (many.size - few.size < 2) break
      const found = [...many].find(([, { topic }]) => poor.topics.includes(topic))
      if (!found) continue
      many.delete(found[0])
      few.set(...found)
      return true
    }
  }
  return false
}
