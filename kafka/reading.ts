/**
 * How far a stage, all its replicas together, has read: a study is not idle while its next image waits on the log, an
 * answer is not missing while it does, and what `persist` writes is not gone while it has still to write it.
 */
import type { Clock } from '../monitoring/clock.ts'
import type { Topic } from '../schemas/topics.ts'
import type { EventLog, Lag } from './log.ts'

/** What was asked of the log is good for so long: many studies come due in one look, ms. */
const freshMs = 200

export interface Reading {
  /**
   * Whether everything that was appended before `time` is done.
   * @param of partition by topic, where only one matters; otherwise all of the topic
   */
  isThrough(of: { partitions: Record<string, number> }, topics: readonly Topic[], time: number): Promise<boolean>
}

export function createReading(log: EventLog, group: string, clock: Clock): Reading {
  let lags: { at: number; known: Promise<Lag[]> } | undefined

  function lagNow(): Promise<Lag[]> {
    const now = clock.now()
    if (!lags || now < lags.at || now - lags.at > freshMs) {
      const known = log.lag(group)
      known.catch(() => {
        lags = undefined // whoever asked hears of it; the next one asks again
      })
      lags = { at: now, known }
    }
    return lags.known
  }

  async function topicIsThrough({ name }: Topic, partition: number | undefined, time: number): Promise<boolean> {
    const [committed, all] = await Promise.all([lagNow(), log.offsetsAt(name, time)])
    // Where the partition is not known, nothing has come by it yet: it may be any.
    const wanted = all.filter(position => partition === undefined || position.partition === partition)
    const nextOf = (one: number) => committed.find(each => each.topic === name && each.partition === one)?.committed
    if (wanted.some(position => (nextOf(position.partition) ?? 0) < position.offset)) {
      const bounds = (await log.topics()).find(topic => topic.name === name)?.bounds ?? []
      // A partition whose records have all gone has nothing to read, and no offset of the group.
      const lowOf = (one: number) => bounds.find(bound => bound.partition === one)?.low ?? 0
      return wanted.every(({ partition: one, offset }) => Math.max(nextOf(one) ?? 0, lowOf(one)) >= offset)
    }
    return true
  }

  return {
    async isThrough({ partitions }, topics, time) {
      for (const topic of topics) {
        if (!(await topicIsThrough(topic, partitions[topic.name], time))) return false
      }
      return true
    },
  }
}
