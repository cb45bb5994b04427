/** One target told by its channel: what it is told is made for that channel alone, and sent once. */
import type { Ports } from '../../kafka/ports.ts'
import type { Publish } from '../../kafka/stage.ts'
import type { NoticeDoc, NoticeTarget } from '../../schemas/notice.ts'
import type { topics } from '../../schemas/topics.ts'
import { discord } from './channels/discord.ts'
import { email } from './channels/email.ts'
import { hl7 } from './channels/hl7.ts'
import { type LiveMessage, live } from './channels/live.ts'
import { push } from './channels/push.ts'
import { slack } from './channels/slack.ts'
import { teams } from './channels/teams.ts'
import { noticeWebhook } from './channels/webhook.ts'
import type { ChannelConfig } from './config-channels.ts'
import { type Deliver, type DeliverPorts, deliverer } from './deliver.ts'
import { type MessageContext, messageOf } from './message.ts'

export interface SendContext extends MessageContext {
  ports: DeliverPorts & Pick<Ports, 'documents' | 'secrets'>
  publish: Publish<typeof topics.notifications>
}

interface Open {
  config: ChannelConfig
  deliver: Deliver<LiveMessage>
  close?(): void
}

export interface Senders {
  /** Resolves when it is over. @throws where a store is away; the signal's reason */
  send(notice: NoticeDoc, target: NoticeTarget, signal: AbortSignal): Promise<'sent' | 'failed'>
  close(): void
}

/** The caller closes them. */
export function openSenders(context: SendContext): Senders {
  const channels = new Map<string, Open>(context.config.channels.map(one => [one.name, opened(context, one)]))
  return {
    async send(notice, target, signal) {
      const channel = channels.get(target.channel)
      const { edition, step, tries, person } = target
      // By the settings as they are now: who has left, or is not to be told this way any more, is told nothing.
      const reach = context.config.people.find(({ name }) => name === person)?.reach ?? []
      if (!channel || reach.every(one => one.channel !== target.channel)) return 'failed'
      const claim = {
        key: [notice.id, edition, step, tries].join(' '),
        ...{ subject: notice.subject, study: notice.study },
        destination: `${person}/${target.channel}`,
        repeat: tries > 0,
      }
      const { study, site, priority } = notice
      const message = async () => ({
        ...(await messageOf(context, notice, target, channel.config)),
        ...{ study, site, priority },
      })
      return channel.deliver(claim, message, signal)
    },
    close() {
      for (const channel of channels.values()) channel.close?.()
    },
  }
}

function opened(context: SendContext, config: ChannelConfig): Open {
  const sender = senderOf(context, config)
  const deliver: Deliver<LiveMessage> = deliverer(context.ports, context.config, sender)
  return { config, deliver, close: () => sender.close?.() }
}

function senderOf({ ports, publish }: SendContext, config: ChannelConfig) {
  switch (config.kind) {
    case 'email':
      return email(config)
    case 'slack':
      return slack(config, ports.clock)
    case 'discord':
      return discord(config, ports.clock)
    case 'teams':
      return teams(config, ports.clock)
    case 'webhook':
      return noticeWebhook(config, ports.clock)
    case 'push':
      return push(config, ports)
    case 'hl7':
      return hl7(config)
    case 'live':
      return live(publish, ports.clock)
  }
}
