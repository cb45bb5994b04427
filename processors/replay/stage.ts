/**
 * Runs past events through another version of a model. Reads the log in positions of its own; what the model says goes on
 * the log with the replay's id, where nothing that reports, notifies or lists results takes it up.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { openDispatcher } from './dispatcher.ts'

export const replay = defineStage({
  name: 'replay',
  role: 'processor',
  summary: 'runs past images through another version of a model, and gives way to live work',
  reads: [],
  writes: [topics.predictions],
  needs: ['log', 'codec', 'documents', 'models'],
  config: z.strictObject({
    inFlight: z.int().min(1).max(4096).default(64).describe('images in flight, of each replay'),
    atOnce: z.int().min(1).max(64).default(4).describe('replays that this process runs at once'),
    beatMs: z
      .int()
      .min(50)
      .max(10_000)
      .default(500)
      .describe('between two signs of life, looks for work, and saves, ms'),
    leaseMs: z
      .int()
      .min(1_000)
      .max(600_000)
      .default(6_000)
      .describe('without a sign of life for so long, another process takes the replay over, ms'),
    retries: z.int().min(0).max(100).default(4).describe('attempts after the first, for errors that may pass'),
    giveWayTo: z
      .array(z.string())
      .default(['infer', 'persist'])
      .describe('stages that a replay waits for when they are behind'),
    giveWayAfterMs: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(1_000)
      .describe(
        'an event of live work may wait so long for such a stage until it is committed, as replays look every beatMs, ms; several times what an image takes in the slowest model, or steady live work keeps replays standing still',
      ),
    giveWayAbove: z
      .int()
      .min(1)
      .default(500)
      .describe('events that such a stage may be behind, those of replays counted'),
  }),
  async open({ config, deps, publish, clock, logger }) {
    const owner = `${hostname()}/${randomUUID()}`
    const close = openDispatcher({
      run: { deps, publish, clock, logger, random: Math.random, settings: config },
      owner,
      ...{ leaseMs: config.leaseMs, atOnce: config.atOnce },
    })
    return { drain: close, close }
  },
})
