import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A study is complete, or was revised: images or answers came late, or a person corrected one. */
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
      { name: 'modality', type: optional('string'), default: null, doc: 'of the first image that says one' },
      { name: 'revision', type: 'int', doc: '1, 2, 3 …' },
      { name: 'series', type: 'int' },
      { name: 'instances', type: 'int' },
      { name: 'images', type: { type: 'array', items: 'string' }, default: [], doc: 'ids of those that it covers' },
      {
        name: 'completedBy',
        type: { type: 'enum', name: 'CompletedBy', symbols: ['idle', 'expected_count', 'forced', 'rule'] },
      },
      {
        name: 'expected',
        doc: 'how many images it was to have, where someone said so',
        default: null,
        type: optional({
          type: 'record',
          name: 'ExpectedCount',
          fields: [
            { name: 'images', type: 'int' },
            { name: 'source', type: 'string', doc: 'modality, order or pacs' },
          ],
        }),
      },
      { name: 'actor', type: optional('string'), default: null, doc: 'who completed it, where a person did' },
      {
        name: 'findings',
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'Finding',
            fields: [
              { name: 'model', type: 'string', doc: 'name@version' },
              { name: 'label', type: 'string' },
              { name: 'score', type: 'double', doc: '0..1: the highest, or the mean, as the rule says' },
              { name: 'instances', type: { type: 'array', items: 'string' }, doc: 'those that say so, surest first' },
              { name: 'present', type: 'boolean', default: true, doc: 'false: looked for, and not found' },
              { name: 'threshold', type: optional('double'), default: null },
              { name: 'rule', type: 'string', default: '', doc: 'how it was drawn together: any, max, mean or count' },
              { name: 'group', type: optional('string'), default: null, doc: 'side (L, R, B, U) or series it is of' },
              { name: 'positive', type: 'int', default: 0, doc: 'images that say so' },
              { name: 'analysed', type: 'int', default: 0, doc: 'images that were asked' },
              {
                name: 'corrected',
                type: 'int',
                default: 0,
                doc: 'images where a person decided otherwise than the model',
              },
              { name: 'quality', type: { type: 'array', items: 'string' }, default: [], doc: 'flags, near-threshold' },
              {
                name: 'priority',
                type: {
                  type: 'enum',
                  name: 'FindingPriority',
                  symbols: ['routine', 'urgent', 'stat'],
                  default: 'routine',
                },
                default: 'routine',
              },
            ],
          },
        },
      },
      {
        name: 'missing',
        doc: 'answers that were to come and did not within the time',
        default: [],
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'MissingAnswer',
            fields: [
              { name: 'instance', type: 'string' },
              { name: 'model', type: 'string' },
              { name: 'code', type: optional('string'), default: null, doc: 'of the error table; null: not answered' },
            ],
          },
        },
      },
      {
        name: 'changes',
        doc: 'against the revision before; null in the first',
        default: null,
        type: optional({
          type: 'record',
          name: 'StudyChanges',
          fields: [
            { name: 'images', type: { type: 'array', items: 'string' }, doc: 'those that came' },
            { name: 'series', type: { type: 'array', items: 'string' }, doc: 'those that came' },
            {
              name: 'findings',
              doc: 'those that came, went or changed',
              type: {
                type: 'array',
                items: {
                  type: 'record',
                  name: 'FindingChange',
                  fields: [
                    { name: 'model', type: 'string', doc: 'name' },
                    { name: 'label', type: 'string' },
                    { name: 'group', type: optional('string'), default: null },
                    { name: 'before', type: optional('boolean'), doc: 'present; null: nothing was said of it' },
                    { name: 'after', type: optional('boolean') },
                  ],
                },
              },
            },
          ],
        }),
      },
      {
        name: 'priority',
        type: { type: 'enum', name: 'TriagePriority', symbols: ['routine', 'urgent', 'stat'], default: 'routine' },
      },
      { name: 'firstAt', type: optional(timestamp), default: null, doc: 'when its first image was received' },
      { name: 'completedAt', type: timestamp },
      { name: 'assessedAt', type: optional(timestamp), default: null },
    ],
  },
})

export type StudyAssessed = EventOf<typeof studies>
export type StudyFinding = StudyAssessed['findings'][number]
export type StudyChanges = NonNullable<StudyAssessed['changes']>
