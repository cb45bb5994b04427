/** From records to messages: one way for what is appended now and for what is read again. */

import type { LogRecord, Position } from '../../kafka/log.ts'
import type { Codec, Ports, Tail } from '../../kafka/ports.ts'
import { type EventOf, type Instance, type Parked, type Topic, topics } from '../../schemas/topics.ts'
import { explainCode } from '../api/shapes.ts'
import type { At, InstanceMessage, ParkedMessage, ServerToClient } from './messages.ts'

/** A socket, or a set of rooms. */
export interface Target {
  emit<E extends keyof ServerToClient>(name: E, ...message: Parameters<ServerToClient[E]>): unknown
}

export interface LiveItem {
  readonly at: At
  /** `topic:partition` */
  readonly partition: string
  /** Those that it belongs to; a client in any of them gets it once. */
  readonly rooms: readonly string[]
  readonly send: (target: Target) => void
}

/** A topic whose events are pushed. */
export interface LiveTopic {
  readonly name: string
  listen(tail: Tail, hear: (item: LiveItem) => void): () => void
  /** @throws RaylogError bad-record */
  read(codec: Codec, record: LogRecord): Promise<LiveItem>
}

export const partitionName = ({ topic, partition }: { topic: string; partition: number }) => `${topic}:${partition}`

function liveTopic<T extends Topic>(
  topic: T,
  make: (event: EventOf<T>, at: At) => Omit<LiveItem, 'at' | 'partition'>,
): LiveTopic {
  const item = (event: EventOf<T>, { partition, offset }: Omit<Position, 'topic'>): LiveItem => {
    const at = { topic: topic.name, partition, offset }
    return { at, partition: partitionName(at), ...make(event, at) }
  }
  return {
    name: topic.name,
    listen: (tail, hear) => tail.listen(topic, (event, at) => hear(item(event, at))),
    read: async (codec, record) => item(await codec.decode(topic, record), record),
  }
}

/** In the order in which they come about, so that a replay shows an image before what was said of it. */
export function liveTopics(models: Ports['models']): LiveTopic[] {
  return [
    liveTopic(topics.instances, (event, at) => {
      const message: InstanceMessage = { event, at, routes: routesOf(models, event) }
      const accepted = message.routes.accepted.map(name => `model:${name}`)
      const rooms = ['all', `study:${event.study}`, `site:${event.site}`, ...accepted]
      return { rooms, send: target => target.emit('instance', message) }
    }),
    liveTopic(topics.predictions, (event, at) => ({
      // What a replay says is heard by those who asked for it, and never taken for a result.
      rooms:
        event.role === 'replay'
          ? [`replay:${event.replay}`]
          : ['all', `study:${event.study}`, `site:${event.site}`, `model:${event.model.name}`],
      send: target => target.emit('prediction', { event, at }),
    })),
    liveTopic(topics.studies, (event, at) => ({
      rooms: ['all', `study:${event.study}`, `site:${event.site}`],
      send: target => target.emit('study', { event, at }),
    })),
    liveTopic(topics.requests, (event, at) => ({
      rooms: ['all', `study:${event.study}`],
      send: target => target.emit('request', { event, at }),
    })),
    liveTopic(topics.reports, (event, at) => ({
      rooms: ['all', `study:${event.study}`, `site:${event.site}`],
      send: target => target.emit('report', { event, at }),
    })),
    liveTopic(topics.notifications, (event, at) => ({
      // Whoever wants to hear of one person's alone joins that person's room.
      rooms: [
        ...['all', 'notifications', `study:${event.study}`, `site:${event.site}`],
        ...(event.who === null ? [] : [`person:${event.who}`]),
      ],
      send: target => target.emit('notification', { event, at }),
    })),
    liveTopic(topics.parked, (event, at) => {
      const message: ParkedMessage = { event: parkedEvent(event), at }
      // The key of what was parked; for images and results that is the study.
      return { rooms: ['all', `study:${event.key}`], send: target => target.emit('parked', message) }
    }),
  ]
}

function routesOf(models: Ports['models'], instance: Instance): InstanceMessage['routes'] {
  const routes = models.routes(instance)
  const names = (accepted: boolean) =>
    routes.filter(route => route.accepted === accepted).map(({ model }) => model.name)
  return { accepted: names(true), refused: names(false) }
}

function parkedEvent({ value: _value, ...event }: Parked): ParkedMessage['event'] {
  const { title, remedy } = explainCode(event.code)
  return { ...event, title, remedy }
}
