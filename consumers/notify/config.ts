/** Settings of the notify stage. */
import { createHash } from 'node:crypto'
import { z } from 'zod'

const words = z.array(z.string()).default([])

const webhookConfig = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .nullable()
    .default(null)
    .describe('as deliveries are listed; null: the host and a hash of the URL'),
  url: z
    .url({ protocol: /^https?$/, error: 'give an http or https URL' })
    .refine(url => URL.canParse(url) && new URL(url).username === '' && new URL(url).password === '', {
      error: 'leave user and password out of the URL: the signature says who sends',
    })
    .describe('where it is posted; may hold a token, and is not shown'),
  secret: z
    .string()
    .min(16)
    .refine(secret => !secret.startsWith('whsec_') || /^whsec_[A-Za-z0-9+/]{22,}={0,2}$/.test(secret), {
      error: 'after "whsec_" comes base64 of at least 16 bytes',
    })
    .describe('shared with the receiver, for the signature; "whsec_" and base64, or text as it is'),
  labels: words.describe('only these labels; empty: all'),
  models: words.describe('only these models, NAME or NAME@VERSION; empty: all'),
  minScore: z.number().min(0).max(1).default(0).describe('only scores at or above it'),
  timeoutMs: z.int().min(100).max(120_000).default(10_000).describe('time for one attempt, ms'),
  includeProbabilities: z.boolean().default(true),
  includeRegions: z.boolean().default(false),
  includeTimings: z.boolean().default(false),
  includePseudonym: z.boolean().default(false).describe("the patient's pseudonym; names are never sent"),
})

export type WebhookConfig = z.infer<typeof webhookConfig>

/** Paths and queries of webhooks often hold a token, so people see the host and a few digits of a hash. */
export function destinationOf({ name, url }: Pick<WebhookConfig, 'name' | 'url'>): string {
  return name ?? `${new URL(url).host}#${createHash('sha256').update(url).digest('hex').slice(0, 8)}`
}

export const notifyConfig = z.strictObject({
  concurrency: z.int().min(1).max(1024).default(64).describe('events in flight'),
  webhooks: z
    .array(webhookConfig)
    .max(100)
    .refine(all => new Set(all.map(destinationOf)).size === all.length, {
      error: 'two webhooks are the same: give each a name of its own',
    })
    .default([])
    .describe('who is told of each production prediction'),
  linkBase: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null)
    .describe('address of this Raylog as receivers reach it; null: links begin with a slash'),
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
