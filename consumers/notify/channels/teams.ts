/**
 * Microsoft Teams: an Adaptive Card to a webhook of Workflows ("When a Teams webhook request is received"), which took the
 * place of Office 365 connectors (https://adaptivecards.io/explorer, version 1.5 is what Teams shows everywhere).
 */
import type { Clock } from '../../../monitoring/clock.ts'
import type { NoticeMessage, Sender } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { findingText, repeatWords, ruo, subjectOf } from '../template.ts'
import { postJson } from './http-post.ts'

export function teams(config: ChannelOf<'teams'>, clock: Clock): Sender<NoticeMessage> {
  return {
    name: 'teams',
    send: (message, options) => postJson(config, teamsBody(message, options.redelivered), options, clock),
  }
}

/** A card has no colours of its own, only styles that follow the theme of whoever reads it. */
const styles = { green: 'good', red: 'warning', alert: 'attention' } as const
/** A text block reads a little Markdown, and so does the value of a fact: a name out of a file must not become a link. */
const plain = (text: string): string => text.replace(/[\\*_[\]()#>-]/g, '\\$&')
const block = (text: string, more: object = {}) => ({ type: 'TextBlock', wrap: true, text, ...more })

export function teamsBody(message: NoticeMessage, redelivered: boolean) {
  const { facts, findings, changes, links, level } = message
  const open = (title: string, url: string) => ({ type: 'Action.OpenUrl', title, url })
  const head = block(plain(subjectOf(message)), { weight: 'Bolder', size: 'Large' })
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.5',
          msteams: { width: 'Full' },
          body: [
            { type: 'Container', style: styles[level], bleed: true, items: [head] },
            ...(redelivered ? [block(repeatWords, { isSubtle: true })] : []),
            ...changes.map(change => block(plain(change), { weight: 'Bolder' })),
            ...findings.map(finding => block(plain(findingText(finding)))),
            { type: 'FactSet', facts: facts.map(([title, value]) => ({ title, value: plain(value) })) },
            ...(message.researchUseOnly ? [block(ruo, { isSubtle: true, size: 'Small' })] : []),
          ],
          actions: [
            ...(links.acknowledge === null ? [] : [open('Acknowledge', links.acknowledge)]),
            ...(links.study === null ? [] : [open('See the study', links.study)]),
          ],
        },
      },
    ],
  }
}
