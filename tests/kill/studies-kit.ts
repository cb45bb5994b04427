/** Studies of several images, sent while processes are killed; and what the log must say of them in the end. */
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { createCodec } from '../../kafka/codec.ts'
import type { EventLog } from '../../kafka/log.ts'
import { type StudyAssessed, topics } from '../../schemas/topics.ts'
import { listAll } from '../harness/census.ts'
import { storeAll } from '../harness/cstore.ts'
import type { Raylog } from '../harness/raylog.ts'
import { radiograph } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

/** Images in all; CI sends fewer. */
export const imageCount = Number(process.env.KILL_INSTANCES ?? 160)
export const killCount = Number(process.env.KILLS ?? 6)
export const seed = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000)

/** Short times, so that studies become complete, and are revised, while processes die. */
export const studySettings = [
  'assess-study.idleMs={DX: 1200}',
  'assess-study.answersMs=20000',
  'assess-study.lateMs=300',
  'assess-study.leaseMs=2500',
]

const perStudy = 4
export const studyCount = Math.ceil(imageCount / perStudy)

/**
 * Every study gets its images in two or three goes: some come before it is complete, some after.
 * @returns when each image is acknowledged
 */
export async function sendStudies(dicomPort: number, next: () => number, pace: () => Promise<unknown>): Promise<void> {
  const goes = Array.from({ length: imageCount }, (_, n) => ({ n, study: n % studyCount, at: next() })).toSorted(
    (a, b) => a.at - b.at,
  )
  for (let at = 0; at < goes.length; at += 4) {
    await pace()
    const images = goes.slice(at, at + 4).map(({ n, study }) => radiograph(n + 1, { study: study + 1 }))
    const { acknowledged } = await storeAll(dicomPort, images, { associations: 2 })
    expect(acknowledged).toHaveLength(images.length)
  }
}

interface Line {
  id: string
  state: string
  revision: number
}

/** Waits until nothing is under way: no study gathers, and what was found covers every image. */
export async function allAssessed(gateway: Raylog): Promise<void> {
  await until(
    'every study is assessed with all of its images',
    async () => {
      const lines = await listAll<Line>(gateway, 'worklist?state=all')
      if (lines.length !== studyCount || lines.some(({ state }) => state === 'gathering')) return false
      const instances = await listAll<{ study: string }>(gateway, 'instances')
      if (instances.length !== imageCount) return false
      const counts = Map.groupBy(instances, ({ study }) => study)
      for (const { id } of lines) {
        const { revisions } = await gateway.json<{ revisions: StudyAssessed[] }>(`/api/v1/studies/${id}`)
        if (revisions[0]?.instances !== counts.get(id)?.length || revisions[0]?.missing.length !== 0) return false
      }
      return true
    },
    { deadlineMs: 180_000, everyMs: 500 },
  )
  // Whatever would be written twice has been by now: longer than a lease.
  await wait(4_000)
}

async function assessmentsOf(log: EventLog): Promise<StudyAssessed[]> {
  const codec = createCodec(log)
  const topic = (await log.topics()).find(({ name }) => name === topics.studies.name)
  const all: StudyAssessed[] = []
  for (const { partition, low, high } of topic?.bounds ?? []) {
    for (let offset = low; offset < high; ) {
      const records = await log.read({ topic: topics.studies.name, partition, offset }, 500)
      for (const record of records) all.push(await codec.decode(topics.studies, record))
      const last = records.at(-1)
      if (!last) break
      offset = last.offset + 1
    }
  }
  return all
}

/** No study twice in one revision, none forgotten, no revision left out, every image in the last. @returns figures */
export async function checkAssessments(log: EventLog) {
  const all = await assessmentsOf(log)
  const byStudy = Map.groupBy(all, ({ study }) => study)
  expect(byStudy.size).toBe(studyCount)
  let images = 0
  for (const [study, revisions] of byStudy) {
    expect(
      revisions.map(({ revision }) => revision),
      study,
    ).toEqual(revisions.map((_, n) => n + 1))
    for (const { images: named, instances } of revisions) expect(new Set(named).size).toBe(instances)
    images += revisions.at(-1)?.instances ?? 0
    expect(revisions.at(-1)?.missing).toEqual([])
  }
  expect(images).toBe(imageCount)
  return { studies: byStudy.size, assessments: all.length, images }
}
