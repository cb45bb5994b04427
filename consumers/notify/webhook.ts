/**
 * Webhooks, signed as Standard Webhooks says (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md):
 * `webhook-id` is the same for every attempt, `webhook-timestamp` is the attempt's time in seconds, `webhook-signature` is
 * `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver checks it with any library of that specification.
 */
import { createHmac } from 'node:crypto'
import type { Clock } from '../../monitoring/clock.ts'
import type { Prediction } from '../../schemas/topics.ts'
import { type Channel, type Message, type SendOptions, Undelivered } from './channel.ts'
import { destinationOf, type WebhookConfig } from './config.ts'

/** Redirects are followed within the same origin, and only those that keep the method and the body. */
const mostRedirects = 3
/** Read of an answer, so that its connection can be used again; what is longer is cut off, bytes. */
const mostAnswerBytes = 64 * 1024
/** Answers that say "later" rather than "no"; every 5xx besides. */
const later = new Set([408, 425, 429])

export function webhook(config: WebhookConfig, clock: Clock): Channel {
  const key = signingKey(config.secret)
  return {
    name: 'webhook',
    destination: destinationOf(config),
    wants: prediction => wants(config, prediction),
    async send(message, options) {
      const body = JSON.stringify(payload(config, message, options.idempotencyKey))
      const timestamp = String(Math.floor(clock.now() / 1000))
      const headers = {
        'content-type': 'application/json',
        'user-agent': 'Raylog',
        'webhook-id': options.idempotencyKey,
        'webhook-timestamp': timestamp,
        'webhook-signature': sign(key, options.idempotencyKey, timestamp, body),
        'raylog-attempt': String(options.attempt),
        ...(options.redelivered ? { 'raylog-redelivered': 'true' } : {}),
      }
      await post(config, body, headers, options.signal, clock)
    },
  }
}

/** `whsec_` stands before base64; any other text is the key as it is. */
export function signingKey(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret, 'utf8')
}

export function sign(key: Buffer, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

function wants({ labels, models, minScore }: WebhookConfig, { label, model, score }: Prediction): boolean {
  const named = models.length === 0 || models.includes(model.name) || models.includes(`${model.name}@${model.version}`)
  return named && score >= minScore && (labels.length === 0 || labels.includes(label))
}

/** Listed field by field: what the events will say one day is not sent before someone decides so. */
function payload(config: WebhookConfig, { type, prediction, links }: Message, id: string) {
  const { instance, study, site, modality, model, role, label, score, threshold, confidence, quality } = prediction
  return {
    id,
    type,
    timestamp: new Date(prediction.predictedAt).toISOString(),
    data: {
      prediction: {
        id: prediction.id,
        instance,
        study,
        site,
        modality,
        ...(config.includePseudonym ? { patient: prediction.patient } : {}),
        model,
        role,
        label,
        score,
        threshold,
        confidence,
        ...(config.includeProbabilities ? { probabilities: prediction.probabilities } : {}),
        ...(config.includeRegions ? { regions: prediction.regions } : {}),
        quality,
        ...(config.includeTimings ? { timings: prediction.timings } : {}),
        receivedAt: new Date(prediction.receivedAt).toISOString(),
        predictedAt: new Date(prediction.predictedAt).toISOString(),
      },
      links,
    },
  }
}

type Headers = Record<string, string>

async function post(
  config: WebhookConfig,
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
