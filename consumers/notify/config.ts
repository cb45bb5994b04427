/** Settings of the notify stage. */
import { z } from 'zod'
import { channelConfig, destinationOf, webhookConfig } from './config-channels.ts'
import { personConfig, roleConfig, ruleConfig } from './config-people.ts'

const timeZone = z
  .string()
  .refine(zone => canFormat(zone), { error: 'no such time zone; give one such as Europe/Paris' })

function canFormat(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false // what it throws says no more than that
  }
}

const notifySettings = z.strictObject({
  concurrency: z.int().min(1).max(1024).default(64).describe('events in flight'),
  webhooks: z
    .array(webhookConfig)
    .max(100)
    .refine(all => new Set(all.map(destinationOf)).size === all.length, {
      error: 'two webhooks are the same: give each a name of its own',
    })
    .default([])
    .describe('who is told of each production prediction'),
  channels: z.array(channelConfig).max(100).default([]).describe('how people can be reached'),
  people: z.array(personConfig).max(1_000).default([]),
  roles: z.array(roleConfig).max(200).default([]).describe('who has a role at which time'),
  rules: z.array(ruleConfig).max(200).default([]).describe('what is told to whom; all that fit, each for itself'),
  timeZone: timeZone.default('UTC').describe('of hours, rotas and messages'),
  timeZones: z.record(z.string(), timeZone).default({}).describe('of single sites'),
  linkBase: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null)
    .describe(
      'address of this Raylog as receivers reach it; null: messages of rules have no links, those of webhooks begin with a slash',
    ),
  maxAgeMs: z
    .int()
    .min(60_000)
    .default(86_400_000)
    .describe('rules tell nobody of what is older, such as a log that is read from its beginning, ms'),
  lookMs: z.int().min(20).max(60_000).default(500).describe('between two looks for notifications that are due, ms'),
  leaseMs: z
    .int()
    .min(500)
    .max(600_000)
    .default(15_000)
    .describe('a process that sends and shows no sign of life for so long is taken for dead, ms'),
  tries: z
    .int()
    .min(1)
    .max(1_000)
    .default(20)
    .describe('for a recipient of a rule who cannot be reached, each with all its attempts, up to 10 minutes apart'),
  attempts: z.int().min(1).max(100).default(5).describe('for one delivery, the first included'),
  backoffMs: z.int().min(1).default(500).describe('before the second attempt, doubled each time, with jitter, ms'),
  maxBackoffMs: z.int().min(1).default(10_000),
  deadlineMs: z
    .int()
    .min(100)
    .default(30_000)
    .describe('for all attempts of one delivery; no attempt begins after it, ms'),
  restAfter: z
    .int()
    .min(1)
    .default(3)
    .describe('deliveries in a row without an answer, after which the destination is left alone for a while'),
  restMs: z
    .int()
    .min(0)
    .default(30_000)
    .describe('deliveries fail at once for so long; then one tries whether it answers, ms'),
})

export type NotifyConfig = z.infer<typeof notifySettings>

/** What a name refers to must be there: found at the start, not on the night of the first critical result. */
export const notifyConfig = notifySettings.superRefine((config, context) => {
  for (const [path, message] of danglingNames(config)) context.addIssue({ code: 'custom', path, message })
})

function* danglingNames({ channels, people, roles, rules }: NotifyConfig): Generator<[PropertyKey[], string]> {
  const kinds = new Map(channels.map(({ name, kind }) => [name, kind]))
  const persons = new Set(people.map(({ name }) => name))
  const recipients = new Set([...persons, ...roles.map(({ name }) => name)])
  for (const [what, all] of Object.entries({ channels, rules, recipients: [...people, ...roles] })) {
    const twice = all.map(({ name }) => name).find((name, at, names) => names.indexOf(name) !== at)
    if (twice !== undefined) yield [[what], `"${twice}" is there twice`]
  }
  for (const [at, { reach }] of people.entries()) {
    for (const [n, { channel, address }] of reach.entries()) {
      const kind = kinds.get(channel)
      const path = ['people', at, 'reach', n]
      if (kind === undefined) yield [path, `there is no channel "${channel}"`]
      if (kind === 'email' && !/^[^\s@<>"(),;:]+@[^\s@<>"(),;:]+$/.test(address ?? ''))
        yield [path, 'a mail address is needed']
    }
  }
  for (const [at, { shifts }] of roles.entries())
    for (const [n, shift] of shifts.entries())
      for (const one of shift.people)
        if (!persons.has(one)) yield [['roles', at, 'shifts', n], `there is nobody called "${one}"`]
  for (const [at, { to, acknowledge }] of rules.entries())
    for (const one of [...to, ...(acknowledge?.chain ?? [])])
      if (!recipients.has(one)) yield [['rules', at], `there is no role or person "${one}"`]
}
