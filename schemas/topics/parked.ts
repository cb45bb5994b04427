import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A stage gave up on a record. The record is kept as it was, until someone retries or drops it. */
export const parked = defineTopic({
  name: 'parked.v1',
  keyField: 'key',
  partitions: 1,
  retentionDays: null,
  schema: {
    type: 'record',
    name: 'Parked',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from stage, topic, partition and offset' },
      { name: 'stage', type: 'string' },
      { name: 'topic', type: 'string' },
      { name: 'partition', type: 'int' },
      { name: 'offset', type: 'long' },
      { name: 'key', type: 'string' },
      { name: 'value', type: 'bytes', doc: 'the record as it was' },
      { name: 'headers', type: { type: 'map', values: 'string' }, default: {} },
      { name: 'subject', type: optional('string'), default: null, doc: 'id of the event, where it could be decoded' },
      { name: 'code', type: 'string', doc: 'a code of schemas/errors.ts' },
      { name: 'message', type: 'string' },
      { name: 'attempts', type: 'int' },
      { name: 'at', type: timestamp },
    ],
  },
})

/** A record with this header is handled only by the stage that it names: a parked event that is tried again. */
export const onlyHeader = 'raylog-only'

export type Parked = EventOf<typeof parked>
