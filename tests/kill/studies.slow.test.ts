/**
 * No study is assessed twice in one revision, and none is forgotten: the whole process is SIGKILLed at random while the
 * images of its studies come, are answered, and are assessed. KILL_INSTANCES, KILLS and KILL_SEED set how many
 * images, how often and when; the seed is printed.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openEmbeddedLog } from '../../kafka/embedded/log.ts'
import { seeded } from '../../producers/simulator/random.ts'
import { startRaylog } from '../harness/raylog.ts'
import {
  allAssessed,
  checkAssessments,
  imageCount,
  killCount,
  seed,
  sendStudies,
  studySettings,
} from './studies-kit.ts'

describe('a Raylog that is killed at random', () => {
  it(`assesses each study once in each revision, over ${killCount} kills and ${imageCount} images`, async () => {
    const next = seeded(seed)
    await using raylog = await startRaylog({ set: ['logLevel=warn', ...studySettings] })
    let killing = true
    const sending = sendStudies(raylog.dicomPort, next, () => wait(killing ? 100 + next() * 300 : 0))
    let killed = 0
    const killer = (async () => {
      for (; killed < killCount; killed++) {
        await wait(500 + next() * 3_000)
        await raylog.kill()
        await raylog.restart()
      }
      killing = false
    })()
    await Promise.all([sending, killer])
    await allAssessed(raylog)
    expect(await raylog.stop()).toBe(0)

    const log = await openEmbeddedLog({ folder: join(raylog.data, 'log'), trimEveryMs: null })
    try {
      console.log({ seed, killed, ...(await checkAssessments(log)) })
    } finally {
      await log.close()
    }
  })
})
