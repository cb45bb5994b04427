/** TLS and logins, on a broker that asks for them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaSettings } from '../../kafka/kafkajs/log.ts'
import { collect, newTopic, numbered, range, unique } from '../contract/log-kit.ts'
import { until } from '../harness/until.ts'
import { openLog } from './kafka-kit.ts'
import { type Kafka, type Secure, startKafka } from './servers/kafka.ts'

describe('a broker with TLS and logins', () => {
  let kafka: Kafka
  let secure: Secure
  beforeAll(async () => {
    kafka = await startKafka(1, { secure: true })
    if (!kafka.secure) throw new Error('it has no secure listeners')
    secure = kafka.secure
  })
  afterAll(() => kafka?.[Symbol.asyncDispose]())

  const withLogin = (over: Partial<KafkaSettings>) =>
    openLog({ brokers: [secure.sasl] }, { ssl: { ca: secure.certificate }, ...over })

  it.each([
    ['PLAIN', () => ({ mechanism: 'plain' as const, ...secure.login })],
    ['SCRAM-SHA-256', () => ({ mechanism: 'scram-sha-256' as const, ...secure.login })],
    ['SCRAM-SHA-512', () => ({ mechanism: 'scram-sha-512' as const, ...secure.login })],
  ])('takes records and groups over TLS with %s', async (_, sasl) => {
    const log = await withLogin({ sasl: sasl() })
    const topic = await newTopic(log, 2)
    await log.append(range(0, 20).map(n => numbered(topic, n)))
    const reader = await collect(log, { group: unique('g'), topics: [topic], from: 'earliest' })
    await until('all records', () => reader.records.length === 20)
    await reader.commitAll()
    await log.close()
  })

  it('takes records over TLS with a certificate for the client', async () => {
    const { certificate, key } = secure
    const log = await openLog({ brokers: [secure.mutual] }, { ssl: { ca: certificate, cert: certificate, key } })
    const topic = await newTopic(log, 1)
    await log.append([numbered(topic, 1)])
    expect(await log.read({ topic, partition: 0, offset: 0 }, 10)).toHaveLength(1)
    await log.close()
  })

  it('says at once that a login is refused, without the password', async () => {
    const wrong = { mechanism: 'scram-sha-256', username: secure.login.username, password: 'not-this-one' } as const
    const refused = await withLogin({ sasl: wrong }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'config-invalid' })
    expect(String(refused)).not.toContain('not-this-one')
  })

  it('does not talk to a broker whose certificate nobody vouches for', async () => {
    const untrusting = openLog({ brokers: [secure.sasl] }, { ssl: true, sasl: { mechanism: 'plain', ...secure.login } })
    await expect(untrusting).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('certificate'),
    })
  })
})
