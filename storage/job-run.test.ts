import { setImmediate } from 'node:timers/promises'
import pino from 'pino'
import { expect, it } from 'vitest'
import { RaylogError } from '../schemas/errors.ts'
import { Ended, type JobRun, type LastWord, patience, runJob } from './job-run.ts'

const clock = {
  now: () => 0,
  sleep: (_ms: number, signal?: AbortSignal) => setImmediate(undefined, signal && { signal }),
}
const away = new RaylogError('store-unavailable', 'away')

/** A job that works until it is told to stop, unless `over` says otherwise. */
async function run(over: Partial<JobRun>, stopping = new AbortController().signal) {
  const said: (LastWord | undefined)[] = []
  const failed: string[] = []
  const job: JobRun = {
    ...{ clock, logger: pino({ level: 'silent' }), beatMs: 1, name: 'job', id: '1', term: { held: true } },
    wanted: async () => 'run',
    save: async last => {
      said.push(last)
      return true
    },
    failed: ({ code }) => failed.push(code),
    async work({ signal }) {
      for (;;) {
        signal.throwIfAborted()
        await setImmediate()
      }
    },
    ...over,
  }
  await runJob(job, stopping)
  return { last: said.at(-1), beats: said.filter(one => one === undefined).length, failed }
}

it.each([
  ['pause', 'paused'],
  ['cancel', 'cancelled'],
  [undefined, 'cancelled'],
] as const)('what is wanted of it (%s) ends its term as %s', async (wanted, state) => {
  const { last, beats } = await run({ wanted: async () => wanted })
  expect(last).toEqual({ state, owner: null, error: null })
  expect(beats).toBe(1)
})

it('one that is done says so, and one that fails why', async () => {
  expect((await run({ work: async () => undefined })).last).toMatchObject({ state: 'done', error: null })
  const { last, failed } = await run({ work: () => Promise.reject(new RaylogError('no-such-model', 'gone')) })
  expect(last).toEqual({ state: 'failed', owner: null, error: { code: 'no-such-model', message: 'gone' } })
  expect(failed).toEqual(['no-such-model'])
})

it('a process that stops lets go of it, to go on elsewhere', async () => {
  expect((await run({}, AbortSignal.abort())).last).toMatchObject({ state: 'running', owner: null })
})

it('a term that is lost has no last word', async () => {
  const said: unknown[] = []
  await run({ save: async last => said.push(last) < 0 })
  expect(said).toEqual([undefined])
})

it('beats that fail are passed over while nobody else can have it, and the last word is said until it is kept', async () => {
  let failures = 5
  const kept: (LastWord | undefined)[] = []
  await run({
    wanted: async () => (kept.length > 0 ? 'pause' : 'run'),
    async save(last) {
      if (failures-- > 0) throw away
      kept.push(last)
      if (kept.length === 1) failures = 3
      return true
    },
  })
  expect(kept.map(last => last?.state)).toEqual([undefined, undefined, 'paused'])
  const lost: unknown[] = []
  await run({ term: { held: false }, save: last => Promise.reject(lost.push(last) && away) })
  expect(lost).toEqual([undefined])
})

it('what it looks at after each beat may be away, as may the beat be', async () => {
  let looks = 0
  const looked = async () => {
    looks++
    throw away
  }
  const { last } = await run({ term: { held: false }, looked, wanted: async () => (looks > 1 ? 'pause' : 'run') })
  expect(last).toMatchObject({ state: 'paused' })
  looks = 0
  const kept: (LastWord | undefined)[] = []
  await run({
    looked,
    async save(last) {
      if (!last) throw away
      return kept.push(last) > 0
    },
    async work() {
      while (looks === 0) await setImmediate()
    },
  })
  expect(kept).toMatchObject([{ state: 'done' }])
})

it('what is away is waited out, what may pass is tried so often, and the rest is an error at once', async () => {
  const options = { clock, random: () => 0.5, retries: 2, firstMs: 1, longestMs: 1 }
  const { signal } = new AbortController()
  const tried = async (error: Error, times: number) => {
    let attempts = 0
    const answer = await patience(
      options,
      signal,
    )(async () => {
      if (attempts++ < times) throw error
      return 'there'
    }).catch((thrown: Error) => thrown)
    return [attempts, answer]
  }
  expect(await tried(away, 50)).toEqual([51, 'there'])
  const passing = new RaylogError('worker-died', 'once')
  expect(await tried(passing, 2)).toEqual([3, 'there'])
  expect(await tried(passing, 3)).toEqual([3, passing])
  const lost = new Ended('lost')
  expect(await tried(lost, 1)).toEqual([1, lost])
})
