import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** Someone asks for something to be done with a study, or says something of it: on the log, so that any replica acts. */
export const requests = defineTopic({
  name: 'imaging.requests.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'StudyRequest',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'study', type: 'string' },
      {
        name: 'what',
        type: {
          type: 'enum',
          name: 'Requested',
          symbols: ['other', 'complete', 'expect', 'reviewed'],
          default: 'other',
        },
        doc: 'complete: no more images come; expect: so many come, or so urgent is its order; reviewed: a person has seen the assessment',
      },
      { name: 'images', type: optional('int'), default: null, doc: 'of expect: how many the study is to have' },
      { name: 'source', type: optional('string'), default: null, doc: 'of expect: order or pacs' },
      {
        name: 'priority',
        type: optional({
          type: 'enum',
          name: 'OrderPriority',
          symbols: ['routine', 'urgent', 'stat'],
          default: 'routine',
        }),
        default: null,
        doc: 'of expect: how urgent the order is',
      },
      { name: 'revision', type: optional('int'), default: null, doc: 'of reviewed: what was seen' },
      { name: 'actor', type: 'string' },
      { name: 'at', type: timestamp },
    ],
  },
})

export type StudyRequest = EventOf<typeof requests>
