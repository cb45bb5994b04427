/** The schema registry goes away: what runs goes on, and what has run before starts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCodec, subjectOf } from '../../kafka/codec.ts'
import type { KafkaLog } from '../../kafka/kafkajs/log.ts'
import { topics } from '../../schemas/topics.ts'
import { anInstance } from '../gateway/samples.ts'
import { openLog } from './kafka-kit.ts'
import { type Kafka, startKafka } from './servers/kafka.ts'
import { type Registry, startRegistry } from './servers/registry.ts'

describe('the schema registry', () => {
  let kafka: Kafka
  let registry: Registry
  let log: KafkaLog
  const topic = topics.instances
  const open = () => openLog(kafka, { registry: { url: registry.url, auth: null } })
  beforeAll(async () => {
    ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
    log = await open()
    await log.ensureTopics([{ name: topic.name, partitions: 1, retention: { maxAgeMs: null, maxBytes: null } }])
  })
  afterAll(async () => {
    await log?.close()
    await registry?.[Symbol.asyncDispose]()
    await kafka?.[Symbol.asyncDispose]()
  })

  /** A record whose schema id nobody has given. */
  function stranger(id: number): Buffer {
    const value = Buffer.alloc(20)
    value.writeInt32BE(id, 1)
    return value
  }

  it('gives ids that another process reads by, compatible with all that came before', async () => {
    const [writer, other] = [createCodec(log), await open()]
    const event = anInstance(1)
    const value = await writer.encode(topic, event)
    expect(await createCodec(other).decode(topic, { value })).toEqual(event)
    const answer = await fetch(`${registry.url}/config/${subjectOf(topic)}`)
    expect(await answer.json()).toMatchObject({ compatibilityLevel: 'BACKWARD_TRANSITIVE' })
    await other.close()
  })

  it('refuses a schema that cannot read what was written before', async () => {
    const subject = 'incompatible-value'
    const schema = (fields: object[]) => JSON.stringify({ type: 'record', name: 'Incompatible', fields })
    await log.schemaId(subject, schema([{ name: 'a', type: 'int' }]))
    await expect(log.schemaId(subject, schema([{ name: 'a', type: 'string' }]))).rejects.toThrow(/incompatible-value/)
  })

  it('may be away: appending and reading go on, an unknown id is waited for, and parks when the registry is back', async () => {
    const codec = createCodec(log)
    const first = anInstance(1)
    const known = await codec.encode(topic, first)
    await codec.decode(topic, { value: known })
    await expect(codec.decode(topic, { value: stranger(1_999_999_999) })).rejects.toMatchObject({ code: 'bad-record' })

    registry.server.freeze()
    await expect(codec.decode(topic, { value: stranger(1_999_999_998) })).rejects.toMatchObject({
      code: 'log-unavailable',
    })
    registry.server.thaw()

    await registry.server.kill()
    const second = anInstance(2)
    const value = await codec.encode(topic, second)
    const [position] = await log.append([{ topic: topic.name, key: 'k', value }])
    const [record] = position ? await log.read(position, 1) : []
    expect(record && (await codec.decode(topic, record))).toEqual(second)
    await expect(codec.decode(topic, { value: stranger(1_999_999_997) })).rejects.toMatchObject({
      code: 'log-unavailable',
    })

    await registry.server.start()
    await expect(codec.decode(topic, { value: stranger(1_999_999_997) })).rejects.toMatchObject({ code: 'bad-record' })
    const anew = createCodec(log)
    expect(await anew.decode(topic, { value })).toEqual(second)
  })

  it('may be away at a start: a process writes and reads by what it was told before, and others read that', async () => {
    const cacheFolder = mkdtempSync(join(tmpdir(), 'raylog-schemas-'))
    const open = () => openLog(kafka, { registry: { url: registry.url, auth: null, cacheFolder } })
    const before = await open()
    await createCodec(before).decode(topic, { value: await createCodec(before).encode(topic, anInstance(1)) })
    await before.close()
    await registry.server.kill()
    try {
      await using started = { log: await open(), [Symbol.asyncDispose]: () => started.log.close() }
      const codec = createCodec(started.log)
      const value = await codec.encode(topic, anInstance(3))
      const [position] = await started.log.append([{ topic: topic.name, key: 'k', value }])
      const [record] = position ? await started.log.read(position, 1) : []
      expect(record && (await codec.decode(topic, record))).toEqual(anInstance(3))
      await registry.server.start()
      expect(record && (await createCodec(log).decode(topic, record))).toEqual(anInstance(3))
    } finally {
      rmSync(cacheFolder, { recursive: true })
    }
  })
})
