/** The worklist: studies in the order in which to read, with how far each is. */
import { z } from 'zod'
import type { WorklistDoc } from '../../schemas/study.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, page, where } from './context.ts'
import { patientIdentity } from './patient.ts'
import { listOf, paging, patientShape, word } from './shapes.ts'

const listQuery = z.object({
  site: word,
  modality: word,
  priority: z.enum(['routine', 'urgent', 'stat']).optional(),
  state: z
    .enum(['open', 'gathering', 'waiting', 'reviewed', 'all'])
    .default('open')
    .describe('open: gathering images, or waiting to be read'),
  ...paging,
})

export const lineShape = z.object({
  id: z.string().describe("the study's"),
  site: z.string(),
  modality: z.string().nullable(),
  patient: patientShape,
  priority: z.enum(['routine', 'urgent', 'stat']),
  state: z.enum(['gathering', 'waiting', 'reviewed']),
  firstAt: z.int().describe('when its first image was received, ms since the epoch'),
  revision: z.int().describe('0: not assessed yet'),
  findings: z.array(z.string()).describe('what was found, as "model: label"'),
  missing: z.int().describe('answers that did not come'),
  expected: z.int().nullable().describe('images that it is to have'),
  images: z.int(),
  predictions: z.int().describe('of models in use: not those of shadows'),
  reports: z.int(),
  deliveries: z
    .object({ sent: z.int(), failed: z.int(), claimed: z.int() })
    .describe('messages to people, and reports to systems; claimed: under way, or waiting for a system'),
})
export type WorklistLine = z.infer<typeof lineShape>

/** What those who only try a model see is no answer that anybody waits for. */
const inUse = ['production', 'canary']

/** Lines with how far each is: a query a kind for the whole page, not one a study. */
export async function linesOf(context: ApiContext, docs: readonly WorklistDoc[]): Promise<WorklistLine[]> {
  if (docs.length === 0) return []
  const { documents } = context.deps
  const study = { in: docs.map(({ id }) => id) }
  const [images, predictions, reports, sent, failed, claimed, arrived, refused, underWay] = await Promise.all([
    documents.countBy('instances', 'study', { study }),
    documents.countBy('predictions', 'study', { study, role: { in: inUse } }),
    documents.countBy('reports', 'study', { study }),
    ...(['sent', 'failed', 'claimed'] as const).map(state =>
      documents.countBy('deliveries', 'study', { study, state }),
    ),
    ...(['sent', 'refused', { in: ['pending', 'sending'] }] as const).map(state =>
      documents.countBy('reportDeliveries', 'study', { study, state }),
    ),
  ])
  return Promise.all(
    docs.map(async ({ rank: _, version: __, ordered: ___, state, ...line }) => ({
      ...line,
      state: state === 'ordered' ? 'gathering' : state,
      patient: await patientIdentity(context, line),
      images: images?.[line.id] ?? 0,
      predictions: predictions?.[line.id] ?? 0,
      reports: reports?.[line.id] ?? 0,
      deliveries: {
        sent: of(line.id, sent, arrived),
        failed: of(line.id, failed, refused),
        claimed: of(line.id, claimed, underWay),
      },
    })),
  )
}

const of = (id: string, ...counts: (Record<string, number> | undefined)[]): number =>
  counts.reduce((sum, count) => sum + (count?.[id] ?? 0), 0)

export function addWorklistRoute(app: App, context: ApiContext): void {
  app.get(
    '/worklist',
    {
      schema: {
        tags: ['studies'],
        summary: 'Studies by priority, then by how long they wait',
        querystring: listQuery,
        response: { 200: listOf(lineShape), ...problems },
      },
    },
    async ({ query: { state, cursor, limit, ...fields } }) => {
      const states = { open: ['gathering', 'waiting'], all: ['gathering', 'waiting', 'reviewed'] }
      const { items, next } = await context.deps.documents.find('worklist', {
        where: { ...where(fields), state: state === 'open' || state === 'all' ? { in: states[state] } : state },
        order: 'oldest',
        ...page({ cursor, limit }),
      })
      return { items: await linesOf(context, items), next }
    },
  )
}
