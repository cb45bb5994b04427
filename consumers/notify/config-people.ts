/** Settings of who is told: people, the roles that they have by rota, and the rules. */
import { z } from 'zod'
import { name } from './config-channels.ts'

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

const time = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/)
  .describe('hours and minutes, in the time zone of the site')

/** From the end to the beginning of the next day where `to` is not after `from`. */
export const hoursConfig = z.strictObject({
  days: z.array(z.enum(days)).default([]).describe('on which it begins; empty: every day'),
  from: time.default('00:00'),
  to: time.default('24:00'),
})
export type Hours = z.infer<typeof hoursConfig>

export const personConfig = z.strictObject({
  name: name.describe('a person, a group that shares a channel, or a system'),
  reach: z
    .array(
      z.strictObject({
        channel: name,
        address: z.string().min(1).nullable().default(null).describe('mail address; null for other channels'),
      }),
    )
    .min(1)
    .describe('by each of these channels'),
  quiet: z.array(hoursConfig).default([]).describe('waits until they are over, unless it is STAT or critical'),
  mostPerHour: z
    .int()
    .min(1)
    .max(10_000)
    .nullable()
    .default(120)
    .describe('more wait, unless critical; null: without limit'),
})
export type Person = z.infer<typeof personConfig>

export const roleConfig = z.strictObject({
  name,
  shifts: z
    .array(hoursConfig.extend({ people: z.array(name).min(1) }))
    .min(1)
    .describe('the first that fits the time says who has the role'),
})
export type Role = z.infer<typeof roleConfig>

const anything = z.array(z.string()).default([]).describe('empty: any')
const everyone = z.array(name).min(1).describe('roles or people')

const findingCondition = z.strictObject({
  labels: anything,
  models: z.array(z.string()).default([]).describe('NAME or NAME@VERSION; empty: any'),
  present: z.boolean().nullable().default(true).describe('false: looked for and not found; null: either'),
  minScore: z.number().min(0).max(1).default(0),
})
export type FindingCondition = z.infer<typeof findingCondition>

export const ruleConfig = z
  .strictObject({
    name,
    on: z.enum(['study', 'prediction']).default('study').describe('study: once it is complete; prediction: at each'),
    findings: z
      .array(findingCondition)
      .default([])
      .describe('one of these is there; empty: any that is present, or none'),
    priorities: z
      .array(z.enum(['routine', 'urgent', 'stat']))
      .default([])
      .describe('of the study; empty: any'),
    sites: anything,
    models: z.array(z.string()).default([]).describe('that said something; NAME or NAME@VERSION; empty: any'),
    modalities: anything,
    hours: z.array(hoursConfig).default([]).describe('only then; empty: always'),
    to: everyone,
    title: z.string().min(1).max(120).nullable().default(null).describe('null: made of what was found'),
    per: z
      .enum(['study', 'event'])
      .default('study')
      .describe(
        'study: one message for all of it, and another only where what it says has changed; event: one for each',
      ),
    groupMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(0)
      .describe('waits so long for more of the same study, and tells it together, ms'),
    acknowledge: z
      .strictObject({
        withinMs: z.int().min(1_000).max(86_400_000).default(900_000).describe('then the next is told, ms'),
        chain: z.array(name).default([]).describe('roles or people, one after the other'),
      })
      .nullable()
      .default(null)
      .describe('a critical result: someone must acknowledge it; it knows no quiet hours and no limit'),
  })
  .refine(({ on, priorities }) => on === 'study' || priorities.length === 0, {
    error: 'a prediction has no priority: use on: study',
  })
export type Rule = z.infer<typeof ruleConfig>
