/** When nothing came for the time of a modality: not before it is over, and no later than at the next look. */
import { expect, it } from 'vitest'
import { topics } from '../../schemas/topics.ts'
import { assessingPerTest } from '../../tests/harness/assessing.ts'
import { until } from '../../tests/harness/until.ts'
import { config, idleMsOf } from './settings.ts'

const on = assessingPerTest()
/** No other time of the stage is as long. */
const lookMs = 137

/** Time goes on by so much, and the stage has looked at what is due then. */
async function pass(ms: number): Promise<void> {
  on.clock.move(ms)
  await until('it has looked', () => on.clock.sleeping.includes(lookMs))
}

it.each<[string, [string | null, number][], object]>([
  [
    'as it is built in',
    [
      [null, 5_000],
      ['DX', 15_000],
      ['US', 60_000],
      ['CT', 120_000],
      ['MR', 300_000],
    ],
    {},
  ],
  [
    'as the settings say',
    [
      [null, 700],
      ['US', 4_000],
      ['CT', 7_000],
      ['XA', 9_000],
      ['DX', 15_000],
    ],
    { idleMs: { CT: 7_000, XA: 9_000 }, otherIdleMs: 4_000, plainIdleMs: 700 },
  ],
])('a study is idle after the time of its modality: %s', async (_, times, settings) => {
  const studyOf = (modality: string | null) => ({ study: `st_${modality}`, modality })
  await on.start({ ...settings, lookMs })
  const first = times.map(([modality], n) => on.image(n, studyOf(modality)))
  await on.append(topics.instances, ...first)
  await on.append(topics.predictions, ...[0, 10].flatMap(n => times.map(([of], i) => on.answer(n + i, studyOf(of)))))
  await on.read()
  await pass(500)
  // The newest image counts.
  await on.append(topics.instances, ...times.map(([modality], n) => on.image(10 + n, studyOf(modality))))
  await on.read()
  const newest = on.clock.now()
  for (const [done, [modality, idleMs]] of times.entries()) {
    await pass(newest + idleMs - 1 - on.clock.now())
    expect(await on.assessed(), `${modality} before its time`).toHaveLength(done)
    await pass(lookMs)
    const { study } = studyOf(modality)
    const said = await until('it is said', async () => (await on.assessed()).find(one => one.study === study))
    expect(said).toMatchObject({ completedBy: 'idle', instances: 2, expected: null, actor: null })
    expect(said.completedAt).toBe(newest + idleMs - 1 + lookMs)
  }
})

it('a modality that nobody foresaw has the time of the others, whatever it is called', () => {
  for (const name of ['XX', 'constructor', 'toString']) expect(idleMsOf(config.parse({}), name)).toBe(60_000)
})
