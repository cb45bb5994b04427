/** One groupless subscription for a whole process, handed on to whoever listens. */
import type { Logger } from 'pino'
import { allTopics, type EventOf, type Topic } from '../schemas/topics.ts'
import type { EventLog, LogRecord, Position } from './log.ts'
import type { Codec, Tail } from './ports.ts'

type Listener = (record: LogRecord) => Promise<void>

/** Begins at the end of the log. The caller closes it. */
export async function openTail(
  log: EventLog,
  codec: Codec,
  logger: Logger,
): Promise<Tail & { close(): Promise<void> }> {
  const listeners = new Map<string, Set<Listener>>()
  const subscription = await log.subscribe(
    { topics: allTopics.map(topic => topic.name), from: 'latest' },
    {
      async records(records) {
        for (const record of records) {
          for (const listener of listeners.get(record.topic) ?? []) await listener(record)
        }
      },
      // Nothing is lost by it, but the page stands still and whoever waits for a result waits in vain.
      failed(error) {
        logger.error({ err: error }, 'the tail of the log ended; start again to have it back')
      },
    },
  )
  return {
    listen<T extends Topic>(topic: T, hear: (event: EventOf<T>, at: Position) => void) {
      const listener: Listener = async record => {
        try {
          const { partition, offset } = record
          hear(await codec.decode(topic, record), { topic: topic.name, partition, offset })
        } catch (error) {
          logger.warn({ err: error, topic: topic.name, offset: record.offset }, 'a listener missed a record')
        }
      }
      const set = listeners.get(topic.name) ?? new Set()
      listeners.set(topic.name, set.add(listener))
      return () => {
        set.delete(listener)
      }
    },
    close: () => subscription.close(),
  }
}
