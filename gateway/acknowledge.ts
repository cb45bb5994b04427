/**
 * The page behind a message's link. Opening it changes nothing, since programs that look through mail open every link;
 * its button does, by POST. Whoever holds the link may: its token is for one notification, edition and person. It says no
 * more than any channel may, so not what was found.
 */
import type { FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Ports } from '../kafka/ports.ts'
import type { Clock } from '../monitoring/clock.ts'
import { escapeHtml } from '../schemas/html.ts'
import { acknowledge, mayAcknowledge, type NoticeDoc } from '../schemas/notice.ts'
import { type NoticeToken, noticeTokenPurpose, readNoticeToken } from '../schemas/notice-token.ts'
import { changeNotice } from './api/notifications.ts'

const params = z.object({ token: z.string().min(1).max(256) })
const html = 'text/html; charset=utf-8'

export function addAcknowledgePage(
  http: Ports['http'],
  { documents, secrets }: Pick<Ports, 'documents' | 'secrets'>,
  clock: Clock,
): void {
  const key = secrets.derive(noticeTokenPurpose)
  const app = http.withTypeProvider<ZodTypeProvider>()
  const options = { config: { public: true }, schema: { hide: true, params } }

  async function noticeOf(text: string): Promise<{ token: NoticeToken; notice: NoticeDoc } | undefined> {
    const token = readNoticeToken(key, text)
    const notice = token && (await documents.get('notices', token.notice))
    return notice && { token, notice }
  }

  app.get('/acknowledge/:token', options, async (request, reply) => {
    const known = await noticeOf(request.params.token)
    if (!known) return answer(reply, 404, unknown)
    return answer(reply, 200, pageOf(known.notice, known.token))
  })
  http.register(async form => {
    // The button's form has no fields; its body, whatever it is, is not looked at.
    form.removeAllContentTypeParsers()
    form.addContentTypeParser('*', (_request, body, done) => {
      body.resume()
      body.once('end', () => done(null)).once('error', done)
    })
    form.withTypeProvider<ZodTypeProvider>().post('/acknowledge/:token', options, async (request, reply) => {
      const known = await noticeOf(request.params.token)
      if (!known) return answer(reply, 404, unknown)
      const { token } = known
      const notice = await changeNotice(documents, token.notice, now =>
        now.edition === token.edition ? acknowledge(now, token.person, 'link', clock.now()) : now,
      )
      return answer(reply, 200, pageOf(notice, token))
    })
  })
}

function answer(reply: FastifyReply, status: number, body: string): FastifyReply {
  // The answer is about somebody, even without a name.
  return reply.code(status).headers({ 'cache-control': 'no-store', 'x-robots-tag': 'noindex' }).type(html).send(body)
}

function pageOf(notice: NoticeDoc, { edition, person }: NoticeToken): string {
  if (notice.edition !== edition)
    return layout('It has changed', ['What you were told has changed since. A newer message says what is so now.'])
  if (notice.outcome === 'acknowledged') {
    const when = new Date(notice.acknowledgedAt ?? 0).toISOString().slice(0, 16).replace('T', ' ')
    return layout('Acknowledged', [`By ${notice.acknowledgedBy ?? 'someone'}, ${when} UTC. Nobody else is told.`])
  }
  if (!mayAcknowledge(notice)) return layout('Nothing to acknowledge', ['It was withdrawn.'])
  const facts = [notice.modality, notice.site, notice.priority].filter(fact => fact !== null).join(' · ')
  return layout('A critical result', [facts, `You acknowledge it as ${person}. Then nobody else is told.`], true)
}

function layout(title: string, lines: readonly string[], button = false): string {
  const form = '<form method="post"><button type="submit">Acknowledge</button></form>'
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title><style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 32rem; margin: 10vh auto; padding: 0 1rem }
button { font: inherit; padding: .6rem 1.4rem; border: 0; background: #ad1457; color: #fff; cursor: pointer }
</style></head><body><h1>${escapeHtml(title)}</h1>${lines.map(line => `<p>${escapeHtml(line)}</p>`).join('')}
${button ? form : ''}<p><small>Raylog</small></p></body></html>`
}

const unknown = layout('No such link', ['Copy the whole link from the message, or open Raylog.'])
