/**
 * Web Push (RFC 8030): to every browser that asked to be told in the person's name, encrypted for it alone (RFC 8291) and
 * signed with our key (VAPID, RFC 8292). The key is derived from secrets.key, so it stays in the data folder with it, and
 * every process has the same.
 */
import webPush, { WebPushError } from 'web-push'
import { z } from 'zod'
import type { Ports } from '../../../kafka/ports.ts'
import { vapidPublicKey, vapidPurpose } from '../../../schemas/vapid.ts'
import { type Sender, type SendOptions, Undelivered } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { headOf } from '../template.ts'
import type { LiveMessage } from './live.ts'

const subscription = z.object({ endpoint: z.url(), keys: z.object({ p256dh: z.string(), auth: z.string() }) })

export function push(
  config: ChannelOf<'push'>,
  { documents, secrets }: Pick<Ports, 'documents' | 'secrets'>,
): Sender<LiveMessage> {
  const key = secrets.derive(vapidPurpose)
  const vapidDetails = {
    subject: config.contact,
    publicKey: vapidPublicKey(key),
    privateKey: Buffer.from(key).toString('base64url'),
  }

  async function one(id: string, sealed: string, payload: string, urgent: boolean): Promise<void> {
    const to = subscription.parse(JSON.parse(secrets.open(sealed, id)))
    const options = { vapidDetails, TTL: config.ttlSeconds, timeout: config.timeoutMs }
    try {
      await webPush.sendNotification(to, payload, { ...options, urgency: urgent ? 'high' : 'normal' })
    } catch (thrown) {
      const status = thrown instanceof WebPushError ? thrown.statusCode : null
      // The browser has taken it back.
      if (status === 404 || status === 410) await documents.delete('pushTargets', id)
      const final = status !== null && status < 500 && status !== 429
      throw new Undelivered(`the push service ${status === null ? 'cannot be reached' : `answered ${status}`}`, {
        final,
      })
    }
  }

  return {
    name: 'push',
    async send(message, options) {
      const { items } = await documents.find('pushTargets', { where: { person: message.recipient.person }, limit: 50 })
      if (items.length === 0) throw new Undelivered('no browser asked for it', { final: true })
      const payload = JSON.stringify(pushBody(message, options))
      const all = items.map(({ id, sealed }) => one(id, sealed, payload, message.level === 'alert'))
      const outcomes = await Promise.allSettled(all)
      // One of the person's browsers is enough; a later attempt shows in the others in place of the first.
      if (outcomes.some(({ status }) => status === 'fulfilled')) return
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    },
  }
}

/** Shown on a locked screen, so: no more than the channel may say, and the newest of a notification takes the place of the one before. */
export function pushBody(message: LiveMessage, { redelivered }: Pick<SendOptions, 'redelivered'>) {
  const { notice, study, title, facts, changes, critical } = message
  const body = [...changes, facts.flatMap(([what, text]) => (what === 'Time' ? [] : [text])).join(' · ')].join('\n')
  return { notice, study, title: `${headOf(message)}: ${title}`, body, critical, redelivered }
}
