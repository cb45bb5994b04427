/** Notifications of rules: what was told to whom, and that someone has seen or acknowledged it; browsers that are told by push. */
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import {
  acknowledge,
  mayAcknowledge,
  type NoticeDoc,
  noticeEvents,
  noticeOutcomes,
  noticePhases,
  openPhases,
  seen,
} from '../../schemas/notice.ts'
import { vapidPublicKey, vapidPurpose } from '../../schemas/vapid.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { idParams, listOf, paging, word } from './shapes.ts'

const at = z.int().describe('ms since the epoch')
const priority = z.enum(['routine', 'urgent', 'stat'])

export const noticeShape = z.object({
  id: z.string(),
  rule: z.string(),
  phase: z.enum(noticePhases).describe('awaiting: an acknowledgement'),
  outcome: z.enum(noticeOutcomes).nullable(),
  dueAt: at.describe('when something happens next; once settled, when it was'),
  critical: z.boolean(),
  mayAcknowledge: z.boolean(),
  title: z.string(),
  study: z.string(),
  site: z.string(),
  modality: z.string().nullable(),
  priority,
  instance: z.string().nullable(),
  edition: z.int(),
  changes: z.array(z.string()),
  findings: z.array(
    z.object({
      model: z.string(),
      version: z.string(),
      label: z.string(),
      present: z.boolean(),
      score: z.number(),
      group: z.string().nullable(),
      images: z.int(),
    }),
  ),
  targets: z.array(
    z.object({
      person: z.string(),
      channel: z.string(),
      edition: z.int(),
      step: z.int().describe('0: of the rule; 1 …: of its chain'),
      state: z.enum(['waiting', 'sent', 'failed']),
      dueAt: at,
      why: z.string().nullable(),
      tries: z.int(),
    }),
  ),
  acknowledgedBy: z.string().nullable(),
  acknowledgedAt: at.nullable(),
  trail: z.array(
    z.object({
      what: z.enum(noticeEvents),
      who: z.string().nullable(),
      channel: z.string().nullable(),
      detail: z.string().nullable(),
      edition: z.int(),
      at,
    }),
  ),
  createdAt: at,
})
export type NoticeView = z.infer<typeof noticeShape>

export function noticeView(doc: NoticeDoc): NoticeView {
  const { version: _v, owner: _o, told: _t, toldPriority: _p, published: _n, patient: _i, subject: _s, ...shown } = doc
  const { revision: _r, step: _step, ...view } = shown
  return { ...view, mayAcknowledge: mayAcknowledge(doc) }
}

/** Compare-and-set until nobody was first. @throws RaylogError not-found */
export async function changeNotice(
  documents: DocumentStore,
  id: string,
  change: (notice: NoticeDoc) => NoticeDoc,
): Promise<NoticeDoc> {
  for (;;) {
    const known = found(await documents.get('notices', id), 'notification')
    const next = change(known)
    if (next === known) return known
    const moved = { ...next, version: known.version + 1 }
    if (await documents.advance('notices', moved)) return moved
  }
}

const tags = ['notifications']
const who = z
  .string()
  .regex(/^[\p{L}\p{N} ._@-]{1,64}$/u)
  .default('token')
  .describe('in whose name; until people have accounts, whoever holds the token says so')
const listQuery = z.object({
  study: word,
  rule: word,
  phase: z
    .enum([...noticePhases, 'open'])
    .optional()
    .describe('open: all but settled'),
  ...paging,
})

export function addNotificationRoutes(app: App, { deps: { documents, secrets }, clock }: ApiContext): void {
  app.get(
    '/notifications',
    {
      schema: {
        ...{ tags, summary: 'List, the newest or next first', querystring: listQuery },
        response: { 200: listOf(noticeShape), ...problems },
      },
    },
    async ({ query: { phase, study, rule, cursor, limit } }) => {
      const phases = phase === 'open' ? { in: openPhases } : phase
      const filter = { ...where({ study, rule }), ...(phases !== undefined && { phase: phases }) }
      const { items, next } = await documents.find('notices', { where: filter, ...page({ cursor, limit }) })
      return { items: items.map(noticeView), next }
    },
  )
  app.get(
    '/notifications/:id',
    { schema: { tags, summary: 'One', params: idParams, response: { 200: noticeShape, ...problems } } },
    async ({ params }) => noticeView(found(await documents.get('notices', params.id), 'notification')),
  )
  const body = z.strictObject({ by: who }).nullish()
  for (const [action, summary, change] of [
    ['acknowledge', 'A person has it: nobody else is told; asked twice, the first counts', acknowledged],
    ['seen', 'A person has opened it', seen],
  ] as const) {
    app.post(
      `/notifications/:id/${action}`,
      { schema: { tags, summary, params: idParams, body, response: { 200: noticeShape, ...problems } } },
      async ({ params, body }) =>
        noticeView(
          await changeNotice(documents, params.id, notice => change(notice, body?.by ?? 'token', clock.now())),
        ),
    )
  }
  addPushRoutes(app, { documents, secrets }, clock.now)
}

function acknowledged(notice: NoticeDoc, by: string, at: number): NoticeDoc {
  if (!notice.critical || notice.outcome === 'withdrawn')
    throw new RaylogError('bad-request', 'This notification asks for no acknowledgement.')
  return acknowledge(notice, by, 'page', at)
}

const subscription = z.strictObject({
  person: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .describe('of the settings of notify, in whose name the browser is told'),
  subscription: z.object({
    endpoint: z.url({ protocol: /^https$/ }).max(2_048),
    keys: z.object({ p256dh: z.string().min(80).max(100), auth: z.string().min(16).max(32) }),
  }),
})
/** Browsers of one person. */
const mostBrowsers = 20

function addPushRoutes(
  app: App,
  { documents, secrets }: Pick<ApiContext['deps'], 'documents' | 'secrets'>,
  now: () => number,
) {
  app.get(
    '/notifications/push',
    {
      schema: {
        ...{ tags, summary: 'Key for PushManager.subscribe (VAPID, base64url)' },
        response: { 200: z.object({ publicKey: z.string() }), ...problems },
      },
    },
    async () => ({ publicKey: vapidPublicKey(secrets.derive(vapidPurpose)) }),
  )
  app.post(
    '/notifications/push',
    {
      schema: {
        ...{ tags, summary: 'A browser is told by push from now on', body: subscription },
        response: { 201: z.object({ id: z.string() }), ...problems },
      },
    },
    async ({ body: { person, subscription } }, reply) => {
      const id = ids.pushTarget(subscription.endpoint)
      const isNew = (await documents.get('pushTargets', id))?.person !== person
      if (isNew && (await documents.count('pushTargets', { person })) >= mostBrowsers)
        throw new RaylogError('bad-request', `There are ${mostBrowsers} browsers of ${person} already.`)
      const sealed = secrets.seal(JSON.stringify(subscription), id)
      await documents.upsert('pushTargets', [{ id, person, sealed, createdAt: now() }])
      return reply.code(201).send({ id })
    },
  )
  app.delete(
    '/notifications/push/:id',
    {
      schema: {
        ...{ tags, summary: 'And no more', params: idParams },
        response: { 200: z.object({ gone: z.boolean() }), ...problems },
      },
    },
    async ({ params }) => ({ gone: await documents.delete('pushTargets', params.id) }),
  )
}
