/** What the adapter takes from the inside of kafkajs. These tests fail when a newer version is not what was declared. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { decodeShare, decodeTopics, encodeShare, encodeTopics } from './assign.ts'
import { guardedKafkajs } from './guards.ts'
import { type ApiName, loadKafkajs, pinned } from './protocol.ts'

const names: ApiName[] = [
  'ApiVersions',
  'Metadata',
  'Produce',
  'InitProducerId',
  'Fetch',
  'ListOffsets',
  'GroupCoordinator',
  'JoinGroup',
  'SyncGroup',
  'Heartbeat',
  'LeaveGroup',
  'OffsetCommit',
  'OffsetFetch',
  'ListGroups',
  'CreateTopics',
  'CreatePartitions',
  'DescribeConfigs',
  'AlterConfigs',
]

describe('kafkajs is what the adapter was written for', () => {
  const kafkajs = guardedKafkajs()
  afterEach(() => vi.restoreAllMocks())

  it('is the pinned version', () => {
    expect(loadKafkajs().version).toBe(pinned)
  })

  it('has every request that is used, with a key and versions that a broker of 4.x still speaks', () => {
    for (const name of names) {
      expect(kafkajs.apiKeys[name], name).toBeTypeOf('number')
      const { versions, protocol } = kafkajs.requests[name]
      expect(versions.length, name).toBeGreaterThan(0)
      expect(protocol({ version: Math.max(...versions.map(Number)) }), name).toBeTypeOf('function')
    }
    // Produce before 3, Fetch before 4 and JoinGroup before 2 were taken out of Kafka 4.0.
    expect(Math.max(...kafkajs.requests.Produce.versions.map(Number))).toBeGreaterThanOrEqual(3)
    expect(Math.max(...kafkajs.requests.Fetch.versions.map(Number))).toBeGreaterThanOrEqual(4)
    expect(Math.max(...kafkajs.requests.JoinGroup.versions.map(Number))).toBeGreaterThanOrEqual(5)
  })

  it('has a connection with the methods that are called', () => {
    const prototype: object = kafkajs.Connection.prototype
    for (const method of [
      'connect',
      'disconnect',
      'isConnected',
      'isAuthenticated',
      'authenticate',
      'setVersions',
      'setSupportAuthenticationProtocol',
      'rejectRequests',
      'send',
    ])
      expect(Reflect.get(prototype, method), method).toBeTypeOf('function')
  })

  it('names errors by type and says which of them pass', () => {
    expect(kafkajs.errorFromCode(6)).toMatchObject({ type: 'NOT_LEADER_FOR_PARTITION', retriable: true })
    expect(kafkajs.errorFromCode(45)).toMatchObject({ type: 'OUT_OF_ORDER_SEQUENCE_NUMBER' })
    expect(kafkajs.errorFromCode(1)).toMatchObject({ type: 'OFFSET_OUT_OF_RANGE' })
    expect(kafkajs.errorFromCode(25)).toMatchObject({ type: 'UNKNOWN_MEMBER_ID' })
    expect(kafkajs.errorFromCode(22)).toMatchObject({ type: 'ILLEGAL_GENERATION' })
    expect(kafkajs.errorFromCode(27)).toMatchObject({ type: 'REBALANCE_IN_PROGRESS' })
    expect(kafkajs.errorFromCode(82)).toMatchObject({ type: 'FENCED_INSTANCE_ID' })
  })

  it('encodes subscriptions and shares so that they read the same', () => {
    expect(decodeTopics(encodeTopics(['a', 'b'], kafkajs), kafkajs)).toEqual(['a', 'b'])
    const share = [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 3 },
      { topic: 'b', partition: 1 },
    ]
    expect(decodeShare(encodeShare(share, kafkajs), kafkajs)).toEqual(share)
    expect(decodeShare(Buffer.alloc(0), kafkajs)).toEqual([])
  })

  it('arms no timer for an idle request queue, and one for a request that waits', () => {
    const arm = vi.spyOn(globalThis, 'setTimeout')
    const queue = (pending: unknown[], throttledUntil: number) =>
      Object.assign(Object.create(kafkajs.RequestQueue.prototype), {
        pending,
        throttledUntil,
        throttleCheckTimeoutId: null,
      })
    queue([], -1).scheduleCheckPendingRequests()
    expect(arm).not.toHaveBeenCalled()
    const waiting = queue([{}], -1)
    waiting.scheduleCheckPendingRequests()
    expect(arm).toHaveBeenCalledOnce()
    expect(arm.mock.calls[0]?.[1]).toBeGreaterThan(0)
    clearTimeout(waiting.throttleCheckTimeoutId)
  })

  it('would arm a negative timer without the guard, which is then no longer needed', async () => {
    const original = await import('node:fs').then(fs =>
      fs.readFileSync(new URL('../../node_modules/kafkajs/src/network/requestQueue/index.js', import.meta.url), 'utf8'),
    )
    expect(original).toContain('this.throttledUntil = -1')
    expect(original).toContain('let scheduleAt = this.throttledUntil - Date.now()')
  })
})
