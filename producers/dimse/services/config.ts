/** Settings of the services. */
import { z } from 'zod'

const MiB = 1024 * 1024
const dayMs = 86_400_000

export const servicesConfig = {
  query: z
    .strictObject({
      maxMatches: z.int().min(1).default(100_000).describe('answers to one C-FIND; then 0xA700'),
      maxInstances: z.int().min(1).max(1_000_000).default(100_000).describe('of one C-MOVE or C-GET; more get 0xA701'),
      maxIdentifierBytes: z.int().min(1_024).default(MiB).describe('longest identifier of a query, bytes'),
    })
    .prefault({})
    .describe('C-FIND, C-MOVE and C-GET'),
  calls: z
    .strictObject({
      associateMs: z.int().min(10).default(30_000).describe('for the connection and the association, ms'),
      answerMs: z.int().min(10).default(120_000).describe('for the answer to each image or report, ms'),
    })
    .prefault({})
    .describe('associations of ours, to destinations of C-MOVE and with reports of storage commitment'),
  commitment: z
    .strictObject({
      holdMs: z
        .int()
        .min(0)
        .default(2_000)
        .describe('who ends the association within this after asking is told on another, ms'),
      settleMs: z.int().min(0).default(30_000).describe('an image is waited for until it is in the index, ms'),
      retryMs: z.int().min(100).default(60_000).describe('before telling again whom we could not tell, ms; doubled'),
      giveUpMs: z
        .int()
        .min(0)
        .default(3 * dayMs)
        .describe('nobody is told after this, ms'),
      maxRequestBytes: z
        .int()
        .min(1_024)
        .max(256 * MiB)
        .default(16 * MiB)
        .describe('longest list of instances, bytes'),
    })
    .prefault({})
    .describe('storage commitment'),
}

const settings = z.strictObject(servicesConfig)

export type ServicesConfig = z.infer<typeof settings>
