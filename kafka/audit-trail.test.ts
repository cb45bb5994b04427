import { setImmediate } from 'node:timers/promises'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import type { Audited } from '../schemas/audit.ts'
import { RaylogError } from '../schemas/errors.ts'
import type { AuditEntry } from '../schemas/topics.ts'
import { HandClock } from '../tests/harness/hand-clock.ts'
import { until } from '../tests/harness/until.ts'
import { createAuditTrail } from './audit-trail.ts'

const rejected: Audited = {
  action: 'association-rejected',
  actor: 'EVIL',
  object: 'RAYLOG',
  outcome: 'failure',
  address: '10.0.0.9',
  detail: { reason: 'calling AE title is not that of a peer' },
}

function open(publish: (entries: AuditEntry[]) => void = () => undefined) {
  const told: AuditEntry[] = []
  let now = 0
  let ids = 0
  const trail = createAuditTrail({
    async publish(_topic, ...entries) {
      publish(entries as AuditEntry[])
      told.push(...(entries as AuditEntry[]))
      return []
    },
    clock: { now: () => now, sleep: () => setImmediate() },
    logger: pino({ level: 'silent' }),
    randomId: () => String(ids++),
  })
  return { trail, told, pass: (ms: number) => (now += ms) }
}

/** With windows of a second, by a clock that the test moves. */
function openByHand() {
  const clock = new HandClock()
  const told: AuditEntry[] = []
  const trail = createAuditTrail({
    async publish(_topic, ...entries) {
      told.push(...(entries as AuditEntry[]))
      return []
    },
    ...{ clock, logger: pino({ level: 'silent' }), randomId: () => String(told.length), windowMs: 1_000 },
  })
  return { trail, told, clock }
}

describe('the audit trail', () => {
  it('tells each entry once, in order, under ids of their own', async () => {
    const { trail, told } = open()
    for (let i = 0; i < 1_200; i++) trail.tell({ ...rejected, actor: String(i) })
    await trail.flush()
    expect(told.map(({ actor }) => actor)).toEqual(Array.from({ length: 1_200 }, (_, i) => String(i)))
    expect(new Set(told.map(({ id }) => id)).size).toBe(1_200)
  })

  it('goes on where it was when the log is back', async () => {
    let failures = 3
    const { trail, told } = open(() => {
      if (failures-- > 0) throw new RaylogError('log-unavailable', 'away')
    })
    trail.tell(rejected)
    await trail.flush()
    expect(told).toHaveLength(1)
  })

  it('writes what is told at the moment in which it has written all', async () => {
    // Which turn of the microtasks that is depends on how the writer is made, so each of them has its entry.
    for (let turns = 0; turns < 20; turns++) {
      let late = true
      const { trail, told } = open(() => {
        if (!late) return
        late = false
        void (async () => {
          for (let turn = 0; turn < turns; turn++) await undefined
          trail.tell({ ...rejected, actor: 'LATE' })
        })()
      })
      trail.tell(rejected)
      await setImmediate()
      await trail.flush()
      expect([turns, told.map(({ actor }) => actor)]).toEqual([turns, ['EVIL', 'LATE']])
    }
  })

  it('tells of one who is turned away again and again first once, then how often', async () => {
    const { trail, told, pass } = open()
    for (let i = 0; i < 5_000; i++) trail.tellOften(rejected)
    trail.tellOften({ ...rejected, address: '10.0.0.10' })
    await setImmediate()
    pass(20_000)
    trail.tellOften(rejected)
    await trail.flush()
    const counts = told.filter(({ address }) => address === '10.0.0.9').map(({ detail }) => Number(detail.count ?? 1))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5_001)
    expect(told.length).toBeLessThan(6)
  })

  it('says how many more there were when the window is over, though nobody comes again', async () => {
    const { trail, told, clock } = openByHand()
    for (let i = 0; i < 10; i++) trail.tellOften(rejected)
    trail.tellOften({ ...rejected, detail: { ...rejected.detail, destination: 'elsewhere' } })
    await until('the first of each are told', () => told.length === 2)
    clock.move(999)
    await setImmediate()
    expect(told).toHaveLength(2)
    clock.move(1)
    await until('the others are told', () => told.length === 3)
    expect(told[2]?.detail).toEqual({ ...rejected.detail, count: '9' })
    expect(clock.sleeping).toEqual([])
  })

  it('closes the window also where the timer is early, and where the clock is set back', async () => {
    for (const [backMs, sleeps] of [
      [1, [1]],
      [2_500, [1_000, 1_000, 500]],
    ] as const) {
      const { trail, told, clock } = openByHand()
      for (let i = 0; i < 10; i++) trail.tellOften(rejected)
      clock.put(clock.now() - backMs)
      clock.move(1_000)
      for (const ms of sleeps) {
        await setImmediate()
        expect(told).toHaveLength(1)
        expect(clock.sleeping).toEqual([ms])
        clock.move(ms)
      }
      await until('the others are told', () => told.length === 2)
      expect(told[1]?.detail.count).toBe('9')
      expect(clock.sleeping).toEqual([])
    }
  })

  it('tells at once what is told after its end, and arms nothing that holds the process', async () => {
    const { trail, told, clock } = openByHand()
    for (let i = 0; i < 10; i++) trail.tellOften(rejected)
    expect(clock.sleeping).toEqual([1_000])
    await trail.flush()
    expect(told.map(({ detail }) => detail.count)).toEqual([undefined, '9'])
    for (let i = 0; i < 3; i++) trail.tellOften(rejected)
    await until('these are told', () => told.length === 5)
    expect(clock.sleeping).toEqual([])
  })
})
