/** A folder to drop files in: each is received when it is complete, then moved away. */
import { mkdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { zipConfig } from '../files.ts'
import { createGate } from '../gate.ts'
import { createIntake } from '../intake.ts'
import { createInbox } from './inbox.ts'
import { createStability, type FoundFile, filesBelow } from './scan.ts'

const folder = z.string().nullable().default(null)

const watchConfig = z.strictObject({
  folder: folder.describe('null: inbox in the data folder. A sub-folder with the name of a model asks for that model'),
  doneFolder: folder.describe('where received files go; null: done, beside the folder'),
  failedFolder: folder.describe('where refused files go, each with a NAME.error.json; null: failed, beside the folder'),
  afterwards: z.enum(['move', 'delete']).default('move').describe('what becomes of a file that was received'),
  scanMs: z.int().min(10).max(3_600_000).default(500).describe('the folder is read this often, ms'),
  stableMs: z.int().min(0).default(1_000).describe('a file is complete when it has not changed for so long, ms'),
  retryMs: z.int().min(10).default(5_000).describe('after a store was away or full, ms'),
  concurrency: z.int().min(1).max(1_024).default(8).describe('files received at once'),
  maxBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3)
    .describe('one image or archive, bytes'),
  zip: zipConfig,
})

export const watch = defineStage({
  name: 'watch',
  role: 'producer',
  summary: 'receives images that are put in a folder',
  reads: [],
  writes: [topics.instances],
  needs: ['objects', 'images', 'secrets', 'models', 'metrics', 'health', 'endpoints'],
  config: watchConfig,
  async open({ config, deps, publish, logger, site, clock, dataFolder, signal }) {
    const { concurrency, maxBytes, zip, stableMs } = config
    const inboxFolder = resolve(config.folder ?? join(dataFolder, 'inbox'))
    const beside = dirname(inboxFolder)
    const stopping = new AbortController()
    const stop = AbortSignal.any([signal, stopping.signal])
    const limit = concurrency * zip.concurrency
    const intake = createIntake({ producer: 'watch', site, clock, deps, publish, limit, waitMs: 60_000, maxBytes })
    const inbox = createInbox({
      intake,
      rules: { zip, maxBytes, folder: join(dataFolder, 'tmp', 'watch'), signal },
      models: deps.models,
      doneFolder: resolve(config.doneFolder ?? join(beside, 'done')),
      failedFolder: resolve(config.failedFolder ?? join(beside, 'failed')),
      afterwards: config.afterwards,
      logger,
    })
    const gate = createGate(concurrency)
    const busy = new Set<string>()
    /** When a file that could not be read or moved is tried again. */
    const stuck = new Map<string, number>()
    let failure: RaylogError | undefined
    let retryAt = 0
    /** Sub-folders that could not be read at the last look. */
    let closed = 0

    async function take(file: FoundFile, leave: () => void): Promise<void> {
      try {
        const taken = await inbox.take(file)
        if (taken === 'later') retryAt = clock.now() + config.retryMs
        if (taken === 'stuck') stuck.set(file.name, clock.now() + config.retryMs)
        else stuck.delete(file.name)
      } finally {
        busy.delete(file.name)
        leave()
      }
    }

    /** Begins with all that is complete, so many at once; returns when the last has begun, or one must wait. */
    async function round(stability: ReturnType<typeof createStability>): Promise<void> {
      if (clock.now() < retryAt) return
      let unreadable = 0
      const files = await filesBelow(inboxFolder, stop, () => unreadable++)
      // Said when it changes, not at each look. Names of folders may be names of people.
      if (unreadable !== closed && unreadable > 0)
        logger.warn({ folders: unreadable }, 'folders within the inbox cannot be read: their files wait')
      closed = unreadable
      for (const file of stability.complete(files, clock.now())) {
        if (busy.has(file.name) || clock.now() < (stuck.get(file.name) ?? 0)) continue
        const leave = await gate.enter(2 ** 31 - 1, stop)
        if (clock.now() < retryAt) return leave()
        busy.add(file.name)
        void take(file, leave)
      }
    }

    async function run(): Promise<void> {
      const stability = createStability(stableMs)
      while (!stop.aborted) {
        try {
          await round(stability)
          failure = undefined
          await clock.sleep(config.scanMs, stop)
        } catch (thrown) {
          if (stop.aborted) break
          const cause = toRaylogError(thrown)
          if (!failure) logger.error({ code: cause.code }, 'the inbox cannot be read')
          failure = new RaylogError('store-unavailable', 'the inbox cannot be read', { cause })
          await clock.sleep(config.retryMs, stop).catch(() => undefined) // stopped: the loop sees it
        }
      }
    }

    await mkdir(inboxFolder, { recursive: true })
    const unregister = deps.health.register('watch', () => {
      if (failure) throw failure
    })
    deps.endpoints.set('inbox', { folder: inboxFolder })
    const running = run()
    return {
      async drain() {
        stopping.abort(new RaylogError('stopping', 'Raylog is stopping'))
        await running
        await gate.empty()
      },
      async close() {
        stopping.abort(new RaylogError('stopping', 'Raylog is stopping'))
        unregister()
        await running
        await gate.empty()
      },
    }
  },
})
