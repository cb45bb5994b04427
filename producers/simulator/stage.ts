/** Sends made-up images to ourselves, for the demo and for load. Off unless a rate is given. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { createIntake, type Hints } from '../intake.ts'
import { seeded } from './random.ts'

export const kinds = ['chest', 'digit', 'tissue'] as const

const simulatorConfig = z.strictObject({
  ratePerSecond: z.number().min(0).max(1_000).default(0).describe('images a second; 0 is off'),
  kinds: z
    .array(z.enum(kinds))
    .min(1)
    .default([...kinds])
    .describe('what is made, in turn'),
  seed: z.int().min(0).nullable().default(null).describe('null: the time of the start, so that images are new'),
  limit: z.int().min(0).default(0).describe('images after which it stops; 0: never'),
  chestSize: z
    .int()
    .min(256)
    .max(1_024)
    .refine(size => size % 2 === 0, 'it must be an even number')
    .default(512)
    .describe('rows and columns of a radiograph'),
  urgentShare: z.number().min(0).max(1).default(0.05).describe('share of images that are sent as urgent'),
})

type Kind = (typeof kinds)[number]

const requested: Record<Kind, string[]> = { chest: [], digit: ['digits'], tissue: ['breast'] }

export const simulator = defineStage({
  name: 'simulator',
  role: 'producer',
  summary: 'makes up images and receives them',
  reads: [],
  writes: [topics.instances],
  needs: ['objects', 'images', 'secrets', 'metrics', 'endpoints'],
  config: simulatorConfig,
  async open({ config, deps, publish, logger, site, clock, signal }) {
    const { ratePerSecond, limit } = config
    const stopping = new AbortController()
    const stop = AbortSignal.any([signal, stopping.signal])
    const most = { limit: 16, waitMs: 60_000, maxBytes: 2 ** 30 }
    const intake = createIntake({ producer: 'simulator', site, clock, deps, publish, ...most })

    async function make(kind: Kind, seed: number): Promise<Buffer> {
      // What writes DICOM takes 30 MB, and hardly any process makes up images.
      const { chestDicom, digitPng, tissuePng } = await import('./phantoms.ts')
      if (kind === 'digit') return digitPng(seed)
      if (kind === 'tissue') return tissuePng(seed)
      return chestDicom(seed, { size: config.chestSize, takenAt: clock.now() })
    }

    async function sendOne(number: number, seed: number): Promise<void> {
      const kind = config.kinds[number % config.kinds.length] ?? 'chest'
      const priority = seeded(seed)() < config.urgentShare ? 'urgent' : 'routine'
      const hints: Hints = { source: { kind: 'simulator', peer: kind }, requested: requested[kind], priority }
      try {
        const bytes = await make(kind, seed)
        await intake.receive(
          (async function* () {
            yield bytes
          })(),
          hints,
          stop,
        )
      } catch (thrown) {
        // As with any sender: it was not stored, and the next one follows.
        if (!stop.aborted) logger.warn({ code: toRaylogError(thrown).code }, 'a made-up image was refused')
      }
    }

    async function run(): Promise<void> {
      const firstSeed = config.seed ?? clock.now()
      let startedAt = clock.now()
      for (let number = 0; limit === 0 || number < limit; number++) {
        // By the clock, not by a fixed pause: what is late is made up for, but no more than a second's worth.
        const wait = startedAt + (number * 1_000) / ratePerSecond - clock.now()
        if (wait < -1_000) startedAt -= wait
        try {
          if (wait > 0) await clock.sleep(wait, stop)
          while (intake.inFlight >= most.limit) await clock.sleep(10, stop)
        } catch (thrown) {
          if (stop.aborted) return
          throw thrown
        }
        void sendOne(number, firstSeed + number)
      }
    }

    const running = ratePerSecond > 0 ? run() : Promise.resolve()
    if (ratePerSecond > 0) {
      deps.endpoints.set('simulator', { ratePerSecond })
      logger.info({ ratePerSecond }, 'sending made-up images')
    }
    async function end(): Promise<void> {
      stopping.abort(new RaylogError('stopping', 'Raylog is stopping'))
      await running
      await intake.idle()
    }
    return { drain: end, close: end }
  },
})
