/**
 * No study is assessed twice in one revision, and none is forgotten, in distributed mode: `assess-study` runs in two processes
 * over Kafka and MongoDB's protocol, which are SIGKILLed at random and started again while the images of its studies come,
 * are answered and are assessed. KILL_INSTANCES, KILLS and KILL_SEED set how many images, how often and when, as in
 * tests/kill; the seed is printed. KILL_INSTANCES=10000 KILLS=100 is the full size.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../producers/simulator/random.ts'
import { isIdle } from '../../harness/census.ts'
import { until } from '../../harness/until.ts'
import {
  allAssessed,
  checkAssessments,
  imageCount,
  killCount,
  seed,
  sendStudies,
  studySettings,
} from '../../kill/studies-kit.ts'
import { openLog, seconds } from '../kafka-kit.ts'
import { watchOver } from './faults.ts'
import { startProcesses } from './processes.ts'
import { startServices } from './services.ts'

const groups = {
  intake: ['dimse'],
  gateway: ['gateway'],
  infer: ['infer'],
  persist: ['persist'],
  one: ['assess-study'],
  other: ['assess-study'],
} as const

/** Below the lease of the kit: what is not confirmed by then is given up, before another may write it. */
const settings = [...studySettings, 'kafka.deliveryMs=2000', 'kafka.sessionTimeoutMs=3000', 'logLevel=warn']

describe('two processes of assess-study that are killed at random', { timeout: 3 * 3_600_000 }, () => {
  it(`assess each study once in each revision, over ${killCount} kills or more and ${imageCount} images`, async () => {
    const next = seeded(seed)
    await using services = await startServices()
    await using processes = await startProcesses(services, groups, { set: settings })
    const { intake, gateway, one, other } = processes.of
    await using watch = watchOver({ one, other })
    const kills = () => watch.mortals.reduce((sum, mortal) => sum + mortal.kills, 0)
    const began = Date.now()
    let sent = false
    // As long as processes die, images come: the last of them when the last but a few kills are over.
    const pace = () => wait(kills() < killCount ? 100 + next() * 400 : 0)
    await Promise.all([
      sendStudies(intake.dicomPort, next, pace).finally(() => {
        sent = true
      }),
      watch.killAtRandom(next, [500, 3_000], () => sent && kills() >= killCount),
    ])
    await allAssessed(gateway)
    const readers = ['assess-study', 'infer', 'persist']
    await until('every stage is idle', () => isIdle(gateway, readers), { deadlineMs: 180_000, everyMs: 500 })
    expect(watch.endedAlone).toEqual([])
    const log = await openLog(services.kafka, { registry: { url: services.registry.url, auth: null } })
    try {
      const figures = await checkAssessments(log)
      console.log({ seed, killed: kills(), took: seconds(Date.now() - began), ...figures })
    } finally {
      await log.close()
    }
    await watch.end()
    expect(await Promise.all(processes.all.map(each => each.stop()))).toEqual(processes.all.map(() => 0))
  })
})
