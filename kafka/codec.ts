/**
 * Avro in Confluent's wire format: byte 0, schema id (4 bytes, big endian), Avro binary. The same bytes stand on the
 * embedded log and on Kafka, so that an export from one reads in the other.
 */
import avro from 'avsc'
import { RaylogError } from '../schemas/errors.ts'
import type { EventOf, Topic } from '../schemas/topics.ts'
import type { EventLog } from './log.ts'
import type { Codec } from './ports.ts'

const magic = 0
const headerBytes = 5

export const subjectOf = (topic: Pick<Topic, 'name'>): string => `${topic.name}-value`

/** A schema for avsc, which takes plain JSON and wants to own it. */
const typeOf = (schema: unknown): avro.Type => avro.Type.forSchema(JSON.parse(JSON.stringify(schema)))

export function createCodec(log: Pick<EventLog, 'schemaId' | 'schemaText'>): Codec {
  const readers = new Map<string, avro.Type>()
  const writerIds = new Map<string, Promise<number>>()
  /** By topic and writer's schema id: the type to read with, and how to resolve it into ours. */
  const resolvers = new Map<string, Promise<{ reader: avro.Type; resolver: avro.Resolver | undefined }>>()

  function readerOf(topic: Topic): avro.Type {
    let reader = readers.get(topic.name)
    if (!reader) {
      reader = typeOf(topic.schema)
      readers.set(topic.name, reader)
    }
    return reader
  }

  /** Kept once known; a failed look-up is asked again, since the registry may only have been away. */
  function remember<V>(cache: Map<string, Promise<V>>, key: string, make: () => Promise<V>): Promise<V> {
    let found = cache.get(key)
    if (!found) {
      found = make()
      cache.set(key, found)
      found.catch(() => cache.delete(key))
    }
    return found
  }

  const writerId = (topic: Topic) =>
    remember(writerIds, topic.name, () => log.schemaId(subjectOf(topic), JSON.stringify(topic.schema)))

  const resolve = (topic: Topic, id: number) =>
    remember(resolvers, `${topic.name} ${id}`, async () => {
      const reader = readerOf(topic)
      const text = await log.schemaText(id)
      if (text === JSON.stringify(topic.schema)) return { reader, resolver: undefined }
      try {
        return { reader, resolver: reader.createResolver(typeOf(JSON.parse(text))) }
      } catch (cause) {
        throw new RaylogError('bad-record', `schema ${id} does not resolve into ${topic.name}`, { cause })
      }
    })

  return {
    async encode(topic, event) {
      const id = await writerId(topic)
      const body = readerOf(topic).toBuffer(event)
      const bytes = Buffer.allocUnsafe(headerBytes + body.length)
      bytes[0] = magic
      bytes.writeUInt32BE(id, 1)
      body.copy(bytes, headerBytes)
      return bytes
    },
    async decode<T extends Topic>(topic: T, { value }: { value: Buffer }): Promise<EventOf<T>> {
      if (value.length < headerBytes || value[0] !== magic)
        throw new RaylogError('bad-record', `a record of ${topic.name} is not in the wire format`)
      const { reader, resolver } = await resolve(topic, value.readUInt32BE(1))
      try {
        // avsc has checked the bytes against the schema that the type is derived from.
        return reader.fromBuffer(value.subarray(headerBytes), resolver) as EventOf<T>
      } catch (cause) {
        throw new RaylogError('bad-record', `a record of ${topic.name} does not decode`, { cause })
      }
    },
  }
}
