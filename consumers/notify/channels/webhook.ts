/**
 * Webhooks, signed as Standard Webhooks says (https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md):
 * `webhook-id` is the same for every attempt, `webhook-timestamp` is the attempt's time in seconds, `webhook-signature` is
 * `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver checks it with any library of that specification.
 */
import { createHmac } from 'node:crypto'
import type { Clock } from '../../../monitoring/clock.ts'
import type { Prediction } from '../../../schemas/topics.ts'
import type { PredictionMessage, Sender, SendOptions } from '../channel.ts'
import type { ChannelOf, WebhookConfig } from '../config-channels.ts'
import { post } from './http-post.ts'
import type { LiveMessage } from './live.ts'

/** Tells of each production prediction that the settings of this webhook name. */
export function webhook(
  config: WebhookConfig,
  clock: Clock,
): Sender<PredictionMessage> & { wants(prediction: Prediction): boolean } {
  return {
    name: 'webhook',
    wants: prediction => wants(config, prediction),
    send: (message, options) => postSigned(config, payload(config, message, options.idempotencyKey), options, clock),
  }
}

/** Tells of what rules say. */
export function noticeWebhook(config: ChannelOf<'webhook'>, clock: Clock): Sender<LiveMessage> {
  return {
    name: 'webhook',
    send: (message, options) => postSigned(config, noticePayload(message, options.idempotencyKey), options, clock),
  }
}

/**
 * The signature covers the time of the attempt, so whoever records a request cannot have it taken again later: receivers
 * turn away timestamps that are more than a few minutes off, as the libraries of the specification do.
 */
async function postSigned(
  config: { url: string; timeoutMs: number; secret: string },
  content: object,
  options: SendOptions,
  clock: Clock,
): Promise<void> {
  const body = JSON.stringify(content)
  const timestamp = String(Math.floor(clock.now() / 1000))
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Raylog',
    'webhook-id': options.idempotencyKey,
    'webhook-timestamp': timestamp,
    'webhook-signature': sign(signingKey(config.secret), options.idempotencyKey, timestamp, body),
    'raylog-attempt': String(options.attempt),
    ...(options.redelivered ? { 'raylog-redelivered': 'true' } : {}),
  }
  await post(config, body, headers, options.signal, clock)
}

/** `whsec_` stands before base64; any other text is the key as it is. */
export function signingKey(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret, 'utf8')
}

export function sign(key: Buffer, id: string, timestamp: string, body: string): string {
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

function wants({ labels, models, minScore }: WebhookConfig, { role, label, model, score }: Prediction): boolean {
  const named = models.length === 0 || models.includes(model.name) || models.includes(`${model.name}@${model.version}`)
  return role === 'production' && named && score >= minScore && (labels.length === 0 || labels.includes(label))
}

/** Listed field by field: what the events will say one day is not sent before someone decides so. */
function payload(config: WebhookConfig, { type, prediction, links }: PredictionMessage, id: string) {
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

function noticePayload(message: LiveMessage, id: string) {
  const { notice, edition, rule, level, critical, title, facts, findings, changes, links, at, recipient } = message
  const { study, site, priority } = message
  return {
    id,
    type: 'notification',
    timestamp: new Date(at).toISOString(),
    data: {
      ...{ notification: notice, edition, rule, level, critical, title },
      ...{ study, site, priority },
      ...{ facts: Object.fromEntries(facts), findings, changes, links, recipient: recipient.person },
    },
  }
}
