import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { compile } from '../kafka/compile.ts'
import { systemClock } from '../monitoring/clock.ts'
import { topics } from '../schemas/topics.ts'
import { embeddedStores } from './embedded.ts'
import { openPorts } from './ports.ts'
import { allStages } from './stages.ts'

const data = mkdtempSync(join(tmpdir(), 'raylog-ports-'))
afterAll(() => rmSync(data, { recursive: true }))

describe('the ports of a process', () => {
  it('count of the groups on the log those of its stages: one that was taken out is behind for nobody', async () => {
    const plan = compile(allStages, { data, stages: ['persist'] })
    const surroundings = { logger: pino({ level: 'silent' }), clock: systemClock }
    const stores = embeddedStores(plan, surroundings)
    const log = await stores.log()
    await log.ensureTopics(plan.topics)
    for (const group of ['tally', 'infer', 'persist'])
      await log.seek(group, [{ topic: topics.predictions.name, partition: 0, offset: 0 }])
    expect(await log.groups()).toHaveLength(3)
    await using opened = await openPorts(plan, surroundings, { ...stores, log: async () => log })
    expect(await opened.ports.log.groups()).toEqual(['persist'])
  })
})
