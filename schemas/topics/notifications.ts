import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** Something became of a notification: told, seen, acknowledged, escalated. Says to whom, never of whom. */
export const notifications = defineTopic({
  name: 'imaging.notifications.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'NotificationStep',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from the notification and the number of the step' },
      { name: 'notification', type: 'string' },
      { name: 'study', type: 'string' },
      { name: 'site', type: 'string' },
      { name: 'rule', type: 'string', doc: 'of the settings' },
      {
        name: 'what',
        type: 'string',
        doc: 'alert, sent, failed, seen, acknowledged, escalated, unanswered, changed …',
      },
      { name: 'who', type: optional('string'), default: null, doc: 'a person of the settings, or who acknowledged' },
      { name: 'channel', type: optional('string'), default: null },
      { name: 'edition', type: 'int', default: 1, doc: '1, 2, 3 …: what was told anew' },
      { name: 'critical', type: 'boolean', default: false },
      { name: 'title', type: 'string', default: '', doc: 'for people; no names' },
      {
        name: 'priority',
        type: {
          type: 'enum',
          name: 'NotificationPriority',
          symbols: ['routine', 'urgent', 'stat'],
          default: 'routine',
        },
        default: 'routine',
      },
      { name: 'at', type: timestamp },
    ],
  },
})

export type NotificationStep = EventOf<typeof notifications>
