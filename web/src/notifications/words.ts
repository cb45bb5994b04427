/** Notifications in words and levels. */
import type { Level } from '../live/finding.ts'
import type { NoticeView } from './api.ts'

const outcomes: Readonly<Record<NonNullable<NoticeView['outcome']>, string>> = {
  told: 'Told',
  acknowledged: 'Acknowledged',
  unanswered: 'Nobody answered',
  failed: 'Nobody was reached',
  nobody: 'There was nobody to tell',
  withdrawn: 'Withdrawn',
}

export function stateOf({ phase, outcome, acknowledgedBy, targets }: NoticeView): string {
  if (outcome === 'acknowledged') return `Acknowledged by ${acknowledgedBy}`
  if (outcome !== null) return outcomes[outcome]
  if (phase === 'awaiting') return 'Waits for an acknowledgement'
  if (phase === 'sending') return 'Being sent'
  const why = targets.find(({ state }) => state === 'waiting')?.why
  return why === null || why === undefined ? 'Waits' : `Waits: ${why.replace('-', ' ')}`
}

export function levelOf({ phase, outcome, critical }: NoticeView): Level {
  if (outcome === 'unanswered' || outcome === 'failed' || outcome === 'nobody') return 'attention'
  if (phase === 'awaiting') return 'attention'
  if (outcome === null) return critical ? 'attention' : 'check'
  return 'clear'
}

export const stepWords: Readonly<Record<NoticeView['trail'][number]['what'], string>> = {
  held: 'Held',
  sent: 'Sent',
  failed: 'Not reached',
  nobody: 'Nobody to tell',
  changed: 'Changed',
  seen: 'Seen',
  acknowledged: 'Acknowledged',
  escalated: 'Passed on',
  unanswered: 'Nobody answered',
}
