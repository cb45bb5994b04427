/** Discord: an embed by webhook (https://discord.com/developers/docs/resources/webhook#execute-webhook). */
import type { Clock } from '../../../monitoring/clock.ts'
import type { NoticeMessage, Sender } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { colours, findingText, repeatWords, ruo, subjectOf } from '../template.ts'
import { postJson } from './http-post.ts'

export function discord(config: ChannelOf<'discord'>, clock: Clock): Sender<NoticeMessage> {
  return {
    name: 'discord',
    send: (message, options) => postJson(config, discordBody(message, options.redelivered), options, clock),
  }
}

const plain = (text: string): string => text.replace(/[\\*_~`|>#[\]()]/g, '\\$&')
/** At most so many in one embed. */
const mostFields = 25

export function discordBody(message: NoticeMessage, redelivered: boolean) {
  const { facts, findings, changes, links, level, at } = message
  const lines = [
    ...(redelivered ? [`_${repeatWords}_`] : []),
    // Before what may be long, and is cut off.
    ...(links.acknowledge === null ? [] : [`**[Acknowledge](${links.acknowledge})**`]),
    ...changes.map(change => `**${plain(change)}**`),
    ...findings.map(finding => `• ${plain(findingText(finding))}`),
  ]
  return {
    // Nothing in a label pings a whole channel.
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: subjectOf(message).slice(0, 256),
        color: Number.parseInt(colours[level].slice(1), 16),
        description: lines.join('\n').slice(0, 4_096),
        fields: facts
          .slice(0, mostFields)
          .map(([name, value]) => ({ name: name.slice(0, 256), value: plain(value).slice(0, 1_024), inline: true })),
        timestamp: new Date(at).toISOString(),
        ...(links.study !== null && { url: links.study }),
        ...(message.researchUseOnly && { footer: { text: ruo } }),
      },
    ],
  }
}
