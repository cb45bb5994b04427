import { readdirSync, readFileSync } from 'node:fs'
import avro from 'avsc'
import { describe, expect, it } from 'vitest'
import { allTopics } from './topics.ts'

const folder = new URL('./released/', import.meta.url)
const released = readdirSync(folder).filter(name => name.endsWith('.avsc'))

const topicOf = (file: string) => allTopics.find(topic => file.startsWith(`${topic.name}.`))

describe('a replay reads the oldest record with the newest code', () => {
  it.each(released)('%s still resolves into what its topic is now', file => {
    const topic = topicOf(file)
    if (!topic) throw new Error(`${file} is of no topic: a topic that was released may not go`)
    const writer = avro.Type.forSchema(JSON.parse(readFileSync(new URL(file, folder), 'utf8')))
    const reader = avro.Type.forSchema(JSON.parse(JSON.stringify(topic.schema)))
    expect(() => reader.createResolver(writer)).not.toThrow()
  })

  it('has at least one released schema of every topic', () => {
    for (const { name } of allTopics)
      expect(
        released.some(file => file.startsWith(`${name}.`)),
        name,
      ).toBe(true)
  })

  it('would notice a field that has lost its default', () => {
    const before = avro.Type.forSchema({ type: 'record', name: 'Instance', fields: [{ name: 'id', type: 'string' }] })
    const after = avro.Type.forSchema({
      type: 'record',
      name: 'Instance',
      fields: [
        { name: 'id', type: 'string' },
        { name: 'site', type: 'string' },
      ],
    })
    expect(() => after.createResolver(before)).toThrow()
  })
})
