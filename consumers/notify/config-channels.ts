/** Settings of the channels: how someone can be reached. Who is, stands in config-people.ts. */
import { createHash } from 'node:crypto'
import { z } from 'zod'

const words = z.array(z.string()).default([])

export const name = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/)

/** Paths and queries of webhooks often hold a token. */
const url = z
  .url({ protocol: /^https?$/, error: 'give an http or https URL' })
  .refine(url => URL.canParse(url) && new URL(url).username === '' && new URL(url).password === '', {
    error: 'leave user and password out of the URL: the signature says who sends',
  })
  .describe('where it is posted; may hold a token, and is not shown')

const secret = z
  .string()
  .min(16)
  .refine(secret => !secret.startsWith('whsec_') || /^whsec_[A-Za-z0-9+/]{22,}={0,2}$/.test(secret), {
    error: 'after "whsec_" comes base64 of at least 16 bytes',
  })
  .describe('shared with the receiver, for the signature; "whsec_" and base64, or text as it is')

const timeoutMs = z.int().min(100).max(120_000).default(10_000).describe('time for one attempt, ms')

export const webhookConfig = z.strictObject({
  name: name.nullable().default(null).describe('as deliveries are listed; null: the host and a hash of the URL'),
  url,
  secret,
  labels: words.describe('only these labels; empty: all'),
  models: words.describe('only these models, NAME or NAME@VERSION; empty: all'),
  minScore: z.number().min(0).max(1).default(0).describe('only scores at or above it'),
  timeoutMs,
  includeProbabilities: z.boolean().default(true),
  includeRegions: z.boolean().default(false),
  includeTimings: z.boolean().default(false),
  includePseudonym: z.boolean().default(false).describe("the patient's pseudonym; names are never sent"),
})

export type WebhookConfig = z.infer<typeof webhookConfig>

/** People see the host and a few digits of a hash. */
export function destinationOf({ name, url }: Pick<WebhookConfig, 'name' | 'url'>): string {
  return name ?? `${new URL(url).host}#${createHash('sha256').update(url).digest('hex').slice(0, 8)}`
}

const common = {
  name: name.describe('as people and deliveries name it'),
  names: z
    .boolean()
    .default(false)
    .describe("may carry the patient's name, where privacy.showNames allows that at all; default: no"),
  findings: z.boolean().default(true).describe('may say what was found; no: only that there is something to see'),
  scores: z.boolean().default(false).describe('may carry the scores'),
}

const image = z.boolean().default(false).describe('the image goes with it, without anything around the pixels')

export const emailConfig = z
  .strictObject({
    kind: z.literal('email'),
    ...common,
    scores: z.boolean().default(true).describe('may carry the scores'),
    image,
    host: z.string().min(1).describe('SMTP server'),
    port: z.int().min(1).max(65_535).default(587),
    security: z
      .enum(['starttls', 'tls', 'none'])
      .default('starttls')
      .describe(
        'starttls: required, never left out; tls: from the first byte (port 465); none: for a relay on this machine',
      ),
    user: z.string().nullable().default(null),
    password: z.string().nullable().default(null),
    caFile: z
      .string()
      .nullable()
      .default(null)
      .describe('certificates that sign the server; null: those of the system'),
    from: z.string().min(3).describe('sender, such as Raylog <raylog@hospital.example>'),
    connections: z.int().min(1).max(50).default(5).describe('connections kept open to the server'),
    timeoutMs,
  })
  .refine(({ user, password }) => (user === null) === (password === null), { error: 'user and password go together' })
  .refine(({ security, user }) => security !== 'none' || user === null, {
    error: 'a password is not sent without TLS: set security',
  })

const chat = { ...common, url, timeoutMs }

const slackConfig = z.strictObject({ kind: z.literal('slack'), ...chat })
const discordConfig = z.strictObject({ kind: z.literal('discord'), ...chat })
const teamsConfig = z.strictObject({ kind: z.literal('teams'), ...chat })
const hookConfig = z.strictObject({ kind: z.literal('webhook'), ...chat, secret })
const pushConfig = z.strictObject({
  kind: z.literal('push'),
  ...common,
  contact: z
    .string()
    .regex(/^(mailto:|https:)/)
    .describe('of who runs this, for push services: mailto: or https:'),
  ttlSeconds: z
    .int()
    .min(0)
    .max(2_419_200)
    .default(3_600)
    .describe('a push service keeps it for a browser that is off'),
  timeoutMs,
})
const liveConfig = z.strictObject({ kind: z.literal('live'), ...common })
const hl7Config = z.strictObject({
  kind: z.literal('hl7'),
  ...common,
  host: z.string().min(1).describe('receiver, over MLLP'),
  port: z.int().min(1).max(65_535),
  tls: z.boolean().default(false).describe('MLLP over TLS'),
  caFile: z
    .string()
    .nullable()
    .default(null)
    .describe('certificates that sign the receiver; null: those of the system'),
  application: z.string().max(180).default('').describe('receiving application (MSH-5)'),
  facility: z.string().max(180).default('').describe('receiving facility (MSH-6)'),
  timeoutMs,
  idleMs: z.int().min(0).max(3_600_000).default(30_000).describe('an unused connection is kept so long, ms'),
})

export const channelConfig = z.discriminatedUnion('kind', [
  emailConfig,
  slackConfig,
  discordConfig,
  teamsConfig,
  hookConfig,
  pushConfig,
  liveConfig,
  hl7Config,
])

export type ChannelConfig = z.infer<typeof channelConfig>
export type ChannelOf<K extends ChannelConfig['kind']> = Extract<ChannelConfig, { kind: K }>
/** What a channel may carry. */
export type Allowed = Pick<ChannelConfig, 'names' | 'findings' | 'scores'>
