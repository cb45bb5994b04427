import { defineTopic, type EventOf, timestamp } from '../avro.ts'

/** A model's window of inputs or scores drifted from its reference, or recovered. */
export const drift = defineTopic({
  name: 'models.drift.v1',
  keyField: 'model',
  partitions: 1,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'Drift',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'model', type: 'string' },
      { name: 'version', type: 'string' },
      { name: 'measure', type: 'string', doc: 'what was measured, such as psi of the score' },
      { name: 'windowFrom', type: timestamp },
      { name: 'windowTo', type: timestamp },
      { name: 'value', type: 'double' },
      { name: 'threshold', type: 'double' },
      { name: 'state', type: { type: 'enum', name: 'DriftState', symbols: ['drifted', 'recovered'] } },
      { name: 'at', type: timestamp },
    ],
  },
})

export type Drift = EventOf<typeof drift>
