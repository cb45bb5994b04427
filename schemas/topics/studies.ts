import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A study is complete, or was revised because images came late. */
export const studies = defineTopic({
  name: 'imaging.studies.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'StudyAssessed',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from study and revision' },
      { name: 'study', type: 'string' },
      { name: 'site', type: 'string' },
      { name: 'patient', type: optional('string'), default: null },
      { name: 'revision', type: 'int' },
      { name: 'series', type: 'int' },
      { name: 'instances', type: 'int' },
      {
        name: 'completedBy',
        type: { type: 'enum', name: 'CompletedBy', symbols: ['idle', 'expected_count', 'forced'] },
      },
      {
        name: 'findings',
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'Finding',
            fields: [
              { name: 'model', type: 'string' },
              { name: 'label', type: 'string' },
              { name: 'score', type: 'double' },
              { name: 'instances', type: { type: 'array', items: 'string' } },
            ],
          },
        },
      },
      {
        name: 'priority',
        type: { type: 'enum', name: 'TriagePriority', symbols: ['routine', 'urgent', 'stat'], default: 'routine' },
      },
      { name: 'completedAt', type: timestamp },
    ],
  },
})

export type StudyAssessed = EventOf<typeof studies>
