/** Settings of the deliver stage. */
import { z } from 'zod'
import { dicomSettings } from './kinds/dicom.ts'
import { fhirSettings } from './kinds/fhir.ts'
import { folderSettings } from './kinds/folder.ts'
import { hl7Settings } from './kinds/hl7.ts'
import { kmsHasKey, s3Settings } from './kinds/s3.ts'
import { stowSettings } from './kinds/stow.ts'
import { rule } from './rules.ts'

const dayMs = 86_400_000

/** What destinations of every kind have. */
const common = {
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
    .describe('as deliveries are listed. Another name is another destination'),
  rules: z
    .array(rule)
    .min(1)
    .max(100)
    .default([rule.parse({})])
    .describe('it is given what any of them fits; default: everything that it can be given'),
  concurrency: z.int().min(1).max(64).default(2).describe('reports on their way to it at once, by all processes'),
  ratePerSecond: z.number().positive().max(10_000).nullable().default(null).describe('null: as fast as it takes them'),
  backoffMs: z.int().min(10).default(1_000).describe('before the second attempt, doubled each time, with jitter, ms'),
  maxBackoffMs: z
    .int()
    .min(10)
    .default(5 * 60_000),
  giveUpMs: z
    .int()
    .min(1_000)
    .default(7 * dayMs)
    .describe('a report that it has not taken after so long is refused; it can be sent again, ms'),
  restAfter: z
    .int()
    .min(1)
    .max(1_000)
    .default(3)
    .describe('attempts in a row without an answer, after which it is left alone for a while'),
  restMs: z.int().min(10).default(10_000).describe('so long, doubled each time; then one report finds out, ms'),
  maxRestMs: z
    .int()
    .min(10)
    .default(2 * 60_000),
}

export const destination = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, ...dicomSettings }),
  z.strictObject({ ...common, ...stowSettings }),
  z.strictObject({ ...common, ...fhirSettings }),
  z.strictObject({ ...common, ...hl7Settings }),
  z.strictObject({ ...common, ...s3Settings }).refine(...kmsHasKey),
  z.strictObject({ ...common, ...folderSettings }),
])
export type Destination = z.infer<typeof destination>

export const deliverConfig = z.strictObject({
  concurrency: z.int().min(1).max(1024).default(64).describe('events being put in queues at once'),
  destinations: z
    .array(destination)
    .max(200)
    .refine(all => new Set(all.map(({ name }) => name)).size === all.length, 'two destinations have the same name')
    .default([])
    .describe('where reports go, each with a queue of its own (docs/delivery.md)'),
  maxBytes: z
    .int()
    .min(1)
    .default(256 * 1024 * 1024)
    .describe('a larger report is refused: each is in memory while it is sent, bytes'),
  pollMs: z
    .int()
    .min(10)
    .max(60_000)
    .default(1_000)
    .describe('between two looks for what other processes or people put in a queue, and two signs of life, ms'),
  leaseMs: z
    .int()
    .min(500)
    .max(600_000)
    .default(10_000)
    .describe('without a sign of life for so long, another process takes the destination over, ms'),
  stopMs: z.int().min(0).max(60_000).default(5_000).describe('at a stop, for those on their way to arrive, ms'),
})

export type DeliverConfig = z.infer<typeof deliverConfig>
