import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { createMissed } from './missed.ts'

const hour = 3_600_000
const topic = 'imaging.instances.v1'

describe('what retention removed before a stage had read it', () => {
  it('is a warning, a count and a part of the health that names stage, topic and how many, for an hour', async () => {
    let now = 0
    const lines: { level: number; stage: string; topic: string; events: number }[] = []
    const metrics = createMetrics()
    const health = createHealth()
    const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
    const missed = createMissed({ health, metrics, logger, clock: { now: () => now, sleep: async () => undefined } })
    expect(await health.report()).toEqual({ ok: true, parts: [] })

    missed('infer', { topic, partition: 0, from: 5, to: 25 })
    missed('infer', { topic, partition: 1, from: 0, to: 3 })
    missed('persist', { topic, partition: 1, from: 0, to: 7 })
    expect(lines).toMatchObject([
      { level: 40, stage: 'infer', topic, events: 20 },
      { level: 40, stage: 'infer', topic, events: 3 },
      { level: 40, stage: 'persist', topic, events: 7 },
    ])
    const { values } = await metrics.eventsMissed.get()
    expect(values).toEqual([
      { labels: { stage: 'infer', topic }, value: 23 },
      { labels: { stage: 'persist', topic }, value: 7 },
    ])
    const [part] = (await health.report()).parts
    expect(part).toMatchObject({ part: 'retention', ok: false, code: 'events-missed' })
    expect(part?.reason).toContain(`infer missed 23 of ${topic}, persist missed 7 of ${topic}`)

    now = hour + 1
    expect(await health.report()).toMatchObject({ ok: true })
    missed('infer', { topic, partition: 0, from: 30, to: 31 })
    expect((await health.report()).parts).toMatchObject([{ ok: false, reason: expect.stringContaining('missed 1 of') }])
  })
})
