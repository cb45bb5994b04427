/** Settings of assess-study: when a study is complete, how long to wait for answers, and what findings are. */
import { z } from 'zod'

const day = 86_400_000
const anything = z.array(z.string()).default([]).describe('empty: any')
const idle = z
  .int()
  .min(100)
  .max(7 * day)

export const completionRule = z.strictObject({
  sites: anything,
  sources: anything.describe('kinds of source, such as dimse or upload; empty: any'),
  peers: anything.describe('calling AE titles or routes; empty: any'),
  modalities: anything,
  images: z.int().min(1).describe('a study is complete with so many'),
})

export const findingRule = z.strictObject({
  models: anything.describe('names or name@version; empty: any'),
  labels: anything.describe("empty: the model's positive label, or every label that a model without one gives"),
  by: z
    .enum(['any', 'max', 'mean', 'count'])
    .default('any')
    .describe(
      'any: one image is enough, as its model decides; max, mean: that of the scores against the threshold; count: so many images',
    ),
  atLeast: z.int().min(1).default(1).describe('images that must say so, for count'),
  threshold: z.number().min(0).max(1).nullable().default(null).describe("null: the model's own"),
  per: z.enum(['study', 'laterality', 'series']).default('study').describe('one finding for each'),
  priority: z.enum(['routine', 'urgent', 'stat']).default('routine').describe('of a study in which it is found'),
})

export const config = z.strictObject({
  concurrency: z.int().min(1).max(4096).default(64).describe('events in flight'),
  idleMs: z
    .object({
      CR: idle.default(15_000),
      DX: idle.default(15_000),
      OT: idle.default(10_000),
      SM: idle.default(15_000),
      GM: idle.default(15_000),
      CT: idle.default(120_000),
      MR: idle.default(300_000),
      PT: idle.default(120_000),
    })
    .catchall(idle)
    .prefault({})
    .describe('by modality, any: a study to which nothing came for so long is complete, ms'),
  otherIdleMs: idle.default(60_000).describe('the same for other modalities, ms'),
  plainIdleMs: idle.default(5_000).describe('the same for images without a modality, ms'),
  rules: z.array(completionRule).default([]).describe('of those that fit a study the first says when it is complete'),
  answersMs: z
    .int()
    .min(0)
    .max(7 * day)
    .default(120_000)
    .describe('a complete study waits so long for what its models say; what is missing then is named, ms'),
  lateMs: z
    .int()
    .min(0)
    .max(day)
    .default(3_000)
    .describe('late answers and corrections that come within this time make one revision, ms'),
  findings: z
    .array(findingRule)
    .default([
      { models: ['pneumonia'], labels: [], by: 'any', atLeast: 1, threshold: null, per: 'study', priority: 'urgent' },
      { models: ['breast'], labels: [], by: 'any', atLeast: 1, threshold: null, per: 'laterality', priority: 'urgent' },
      { models: [], labels: [], by: 'any', atLeast: 1, threshold: null, per: 'study', priority: 'routine' },
    ])
    .describe('of those that fit a model the first says how its answers become findings; none fits: none'),
  lookMs: z.int().min(20).max(60_000).default(500).describe('between two looks for studies whose time has come, ms'),
  leaseMs: z
    .int()
    .min(500)
    .max(600_000)
    .default(45_000)
    .describe('an assessment that is not on the log after so long is finished by another; above kafka.deliveryMs, ms'),
})

export type Config = z.infer<typeof config>
export type FindingRule = Config['findings'][number]

/** How long nothing may come to a study of this modality before it is complete, ms. */
export const idleMsOf = ({ idleMs, otherIdleMs, plainIdleMs }: Config, modality: string | null): number =>
  // What the file says of its modality may be the name of anything, such as `constructor`.
  modality === null ? plainIdleMs : ((Object.hasOwn(idleMs, modality) ? idleMs[modality] : undefined) ?? otherIdleMs)
