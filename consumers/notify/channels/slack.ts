/**
 * Slack: an incoming webhook with Block Kit blocks in an attachment, which alone has a colour
 * (https://docs.slack.dev/messaging/formatting-message-text, /reference/block-kit/blocks).
 */
import type { Clock } from '../../../monitoring/clock.ts'
import type { NoticeMessage, Sender } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { colours, findingText, repeatWords, ruo, subjectOf } from '../template.ts'
import { postJson } from './http-post.ts'

export function slack(config: ChannelOf<'slack'>, clock: Clock): Sender<NoticeMessage> {
  return {
    name: 'slack',
    send: (message, options) => postJson(config, slackBody(message, options.redelivered), options, clock),
  }
}

/** The three signs that Slack's markup is made of. */
const plain = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const section = (text: string) => ({ type: 'section', text: { type: 'mrkdwn', text: text.slice(0, 3_000) } })
/** At most so many in one section. */
const mostFields = 10

export function slackBody(message: NoticeMessage, redelivered: boolean) {
  const { facts, findings, changes, links, level } = message
  const lines = [...changes.map(change => `*${plain(change)}*`), ...findings.map(one => `• ${plain(findingText(one))}`)]
  const small = [...(redelivered ? [repeatWords] : []), ...(message.researchUseOnly ? [ruo] : [])]
  const buttons = [
    ...(links.acknowledge === null ? [] : [button('Acknowledge', links.acknowledge, true)]),
    ...(links.study === null ? [] : [button('See the study', links.study, false)]),
  ]
  return {
    // Shown where blocks are not, such as in a notification.
    text: plain(subjectOf(message)),
    attachments: [
      {
        color: colours[level],
        fallback: plain(subjectOf(message)),
        blocks: [
          { type: 'header', text: { type: 'plain_text', text: subjectOf(message).slice(0, 150) } },
          ...(lines.length > 0 ? [section(lines.join('\n'))] : []),
          {
            type: 'section',
            fields: facts
              .slice(0, mostFields)
              .map(([what, text]) => ({ type: 'mrkdwn', text: `*${plain(what)}*\n${plain(text)}`.slice(0, 2_000) })),
          },
          ...(buttons.length > 0 ? [{ type: 'actions', elements: buttons }] : []),
          ...(small.length > 0 ? [{ type: 'context', elements: [{ type: 'mrkdwn', text: small.join(' ') }] }] : []),
        ],
      },
    ],
  }
}

const button = (text: string, url: string, primary: boolean) => ({
  type: 'button',
  text: { type: 'plain_text', text },
  url,
  ...(primary && { style: 'primary' }),
})
