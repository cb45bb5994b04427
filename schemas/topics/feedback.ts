import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A person agreed with a prediction, or corrected it. */
export const feedback = defineTopic({
  name: 'models.feedback.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: null,
  schema: {
    type: 'record',
    name: 'Feedback',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'study', type: 'string' },
      { name: 'instance', type: 'string' },
      { name: 'prediction', type: 'string' },
      { name: 'verdict', type: { type: 'enum', name: 'Verdict', symbols: ['agreed', 'corrected', 'unsure'] } },
      { name: 'label', type: optional('string'), default: null, doc: 'the right label, where it was corrected' },
      { name: 'actor', type: 'string' },
      { name: 'at', type: timestamp },
    ],
  },
})

export type Feedback = EventOf<typeof feedback>
