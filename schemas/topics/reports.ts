import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A report was made, sent, refused or superseded. */
export const reports = defineTopic({
  name: 'imaging.reports.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'Report',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from what it reports on, format and destination' },
      { name: 'study', type: 'string' },
      { name: 'site', type: 'string' },
      { name: 'instance', type: optional('string'), default: null },
      { name: 'prediction', type: optional('string'), default: null, doc: 'null where it reports on a whole study' },
      { name: 'revision', type: optional('int'), default: null, doc: 'revision of the study' },
      { name: 'format', type: 'string', doc: 'pdf, sr, fhir …' },
      { name: 'object', type: optional('string'), default: null, doc: 'object key of the report' },
      { name: 'bytes', type: 'long', default: 0 },
      { name: 'destination', type: 'string', doc: 'where it went; "store" is our own object store' },
      {
        name: 'outcome',
        type: { type: 'enum', name: 'Outcome', symbols: ['made', 'sent', 'refused', 'superseded'], default: 'made' },
      },
      { name: 'code', type: optional('string'), default: null, doc: 'of the error table, where it was refused' },
      { name: 'at', type: timestamp },
    ],
  },
})

export type Report = EventOf<typeof reports>
