import { defineTopic, type EventOf, timestamp } from '../avro.ts'

const state = (name: string) =>
  ({ type: 'enum', name, symbols: ['candidate', 'shadow', 'canary', 'production', 'retired'] }) as const

/** A model version changed its state. */
export const lifecycle = defineTopic({
  name: 'models.lifecycle.v1',
  keyField: 'model',
  partitions: 1,
  retentionDays: null,
  schema: {
    type: 'record',
    name: 'LifecycleChange',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'model', type: 'string' },
      { name: 'version', type: 'string' },
      { name: 'from', type: state('From') },
      { name: 'to', type: state('To') },
      { name: 'share', type: 'double', doc: 'share of the traffic, 0..1' },
      { name: 'actor', type: 'string' },
      { name: 'reason', type: 'string' },
      { name: 'at', type: timestamp },
    ],
  },
})

export type LifecycleChange = EventOf<typeof lifecycle>
