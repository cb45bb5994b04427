/**
 * Nothing acknowledged is lost: the whole process is SIGKILLed again and again, at random, while senders repeat until they
 * are acknowledged. Afterwards each acknowledged image has exactly one document, one prediction and one report.
 * KILLS and KILL_SEED set how often and when; the seed is printed.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../producers/simulator/random.ts'
import { census, isIdle } from '../harness/census.ts'
import { storeAll } from '../harness/cstore.ts'
import { startRaylog } from '../harness/raylog.ts'
import { smallRadiograph, uploadDigits } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

const kills = Number(process.env.KILLS ?? 20)
const instances = 2_000
const uploads = 500
const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)

describe('a Raylog that is killed at random', () => {
  it(`loses nothing that it acknowledged over ${kills} kills, and does nothing twice`, async () => {
    const next = seeded(seed)
    await using raylog = await startRaylog({ set: ['logLevel=warn', 'report.formats=[]'] })
    let sending = true
    // Slowed down so that the sending lasts as long as the killing.
    const pace = () => wait(sending ? 40 + next() * 80 : 0)
    const chests = Array.from({ length: instances }, (_, n) => n)
    const stored = (async () => {
      const acknowledged: string[] = []
      let repeated = 0
      for (let at = 0; at < chests.length; at += 20) {
        await pace()
        const sent = await storeAll(raylog.dicomPort, chests.slice(at, at + 20).map(smallRadiograph))
        acknowledged.push(...sent.acknowledged)
        repeated += sent.repeated
      }
      return { acknowledged, repeated }
    })()
    const uploaded = uploadDigits(
      raylog,
      Array.from({ length: uploads }, (_, n) => n),
      pace,
    )
    let killed = 0
    const killing = (async () => {
      while (killed < kills) {
        await wait(200 + next() * 2_800)
        await raylog.kill()
        killed++
        await raylog.restart()
      }
      sending = false
    })()
    const [{ acknowledged, repeated }, { acknowledged: ids }] = await Promise.all([stored, uploaded, killing])
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 240_000, everyMs: 250 })

    const found = await census(raylog)
    console.log({ seed, killed, acknowledged: acknowledged.length + ids.length, repeated })
    expect(found.parked).toEqual([])
    expect(new Set(acknowledged).size).toBe(instances)
    expect(new Set(ids).size).toBe(uploads)
    const bySop = new Map(found.instances.flatMap(({ id, dicom }) => (dicom ? [[dicom.sopInstance, id]] : [])))
    const expected = [...acknowledged.map(sop => bySop.get(sop) ?? `lost: ${sop}`), ...ids].sort()
    expect(found.instances.map(({ id }) => id).sort()).toEqual(expected)
    expect(found.predictions.map(({ instance }) => instance).sort()).toEqual(expected)
    expect(found.reports.map(({ prediction }) => prediction).sort()).toEqual(
      found.predictions.map(({ id }) => id).sort(),
    )
    for (const { object } of found.instances.slice(0, 50))
      expect(
        (await raylog.get(`/api/v1/instances/${found.instances.find(one => one.object === object)?.id}/object`)).status,
      ).toBe(200)
    expect(await raylog.stop()).toBe(0)
  })
})
