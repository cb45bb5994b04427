import { defineTopic, type EventOf, timestamp } from '../avro.ts'

/** Someone saw or did something. */
export const audit = defineTopic({
  name: 'platform.audit.v1',
  keyField: 'actor',
  partitions: 1,
  retentionDays: null,
  schema: {
    type: 'record',
    name: 'AuditEntry',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'actor', type: 'string' },
      { name: 'action', type: 'string' },
      { name: 'object', type: 'string' },
      { name: 'outcome', type: { type: 'enum', name: 'AuditOutcome', symbols: ['success', 'failure'] } },
      { name: 'address', type: 'string' },
      { name: 'detail', type: { type: 'map', values: 'string' }, default: {} },
      { name: 'at', type: timestamp },
    ],
  },
})

export type AuditEntry = EventOf<typeof audit>
