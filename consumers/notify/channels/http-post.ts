/** One POST to a receiver: redirects within its own host, answers that say later, and what is told of a failure. */
import type { Clock } from '../../../monitoring/clock.ts'
import { type SendOptions, Undelivered } from '../channel.ts'

/** Redirects are followed within the same origin, and only those that keep the method and the body. */
const mostRedirects = 3
/** Read of an answer, so that its connection can be used again; what is longer is cut off, bytes. */
const mostAnswerBytes = 64 * 1024
/** Answers that say "later" rather than "no"; every 5xx besides. */
const later = new Set([408, 425, 429])

export interface PostTarget {
  url: string
  timeoutMs: number
}

type Headers = Record<string, string>

/** Resolves when it was taken. @throws Undelivered; the signal's reason when aborted */
export async function post(
  config: PostTarget,
  body: string,
  headers: Headers,
  signal: SendOptions['signal'],
  clock: Clock,
) {
  let url = new URL(config.url)
  for (let redirects = 0; ; redirects++) {
    const response = await attempt(url, config.timeoutMs, body, headers, signal)
    if (response.ok) return
    const { status } = response
    if (status < 300 || status >= 400) {
      const final = status < 500 && !later.has(status)
      const retryAfterMs = retryAfter(response.headers.get('retry-after'), clock.now())
      throw new Undelivered(`the receiver answered ${status}`, { final, retryAfterMs })
    }
    const to = response.headers.get('location')
    if ((status !== 307 && status !== 308) || to === null || !URL.canParse(to, url.href) || redirects === mostRedirects)
      throw new Undelivered(`the receiver answered ${status}, a redirect that is not followed`, { final: true })
    const next = new URL(to, url)
    if (next.origin !== url.origin)
      throw new Undelivered('the receiver redirects to another host: set its new URL, if that is meant', {
        final: true,
      })
    url = next
  }
}

async function attempt(url: URL, timeoutMs: number, body: string, headers: Headers, signal: AbortSignal) {
  const late = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers,
      redirect: 'manual',
      signal: AbortSignal.any([signal, late]),
    })
    await drain(response)
    return response
  } catch (thrown) {
    signal.throwIfAborted()
    if (late.aborted) throw new Undelivered(`no answer within ${timeoutMs} ms`, { code: 'timed-out' })
    // The message of a failed fetch may hold the URL; the code of its cause does not.
    throw new Undelivered(`the receiver cannot be reached (${networkCode(thrown)})`, { cause: thrown })
  }
}

async function drain(response: Response): Promise<void> {
  if (!response.body) return
  let bytes = 0
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body) {
    bytes += chunk.length
    if (bytes > mostAnswerBytes) break
  }
}

function networkCode(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'network error'
}

/** Seconds, or an HTTP date (RFC 9110 10.2.3), as ms from now; null for neither. */
function retryAfter(text: string | null, now: number): number | null {
  if (text === null) return null
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

/** @throws as `post` */
export function postJson(target: PostTarget, content: object, options: SendOptions, clock: Clock): Promise<void> {
  const headers = { 'content-type': 'application/json', 'user-agent': 'Raylog' }
  return post(target, JSON.stringify(content), headers, options.signal, clock)
}
