import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** A model version said something of an instance. */
export const predictions = defineTopic({
  name: 'imaging.predictions.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'Prediction',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from instance, model version, role and replay' },
      { name: 'instance', type: 'string' },
      { name: 'study', type: 'string' },
      { name: 'site', type: 'string' },
      { name: 'object', type: 'string', doc: 'key of the image in the object store' },
      { name: 'modality', type: optional('string'), default: null },
      { name: 'patient', type: optional('string'), default: null },
      {
        name: 'model',
        type: {
          type: 'record',
          name: 'ModelVersion',
          fields: [
            { name: 'name', type: 'string' },
            { name: 'version', type: 'string' },
            { name: 'digest', type: 'string', doc: 'SHA-256 of the weights' },
            { name: 'runtime', type: 'string' },
          ],
        },
      },
      {
        name: 'role',
        type: {
          type: 'enum',
          name: 'Role',
          symbols: ['production', 'shadow', 'canary', 'replay'],
          default: 'shadow',
        },
      },
      { name: 'replay', type: optional('string'), default: null, doc: 'id of the replay that made it' },
      { name: 'label', type: 'string' },
      { name: 'score', type: 'double', doc: '0..1: probability of the positive class, or of the label' },
      { name: 'threshold', type: optional('double'), default: null, doc: 'null where the highest class wins' },
      { name: 'confidence', type: 'double', doc: '0..1: probability of the label that was given' },
      {
        name: 'probabilities',
        type: { type: 'map', values: 'double' },
        doc: 'by label; of more than 32 labels the ten likeliest',
      },
      {
        name: 'regions',
        default: [],
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'Region',
            fields: [
              { name: 'label', type: 'string' },
              { name: 'score', type: 'double' },
              { name: 'frame', type: 'int', default: 1 },
              {
                name: 'points',
                type: { type: 'array', items: 'double' },
                doc: 'x, y, x, y … in pixels of the stored image',
              },
            ],
          },
        },
      },
      { name: 'explanation', type: optional('string'), default: null, doc: 'object key of the explanation image' },
      {
        name: 'quality',
        type: { type: 'array', items: 'string' },
        default: [],
        doc: 'flags such as near-threshold',
      },
      {
        name: 'timings',
        type: {
          type: 'record',
          name: 'Timings',
          fields: [
            { name: 'queueMs', type: 'double' },
            { name: 'fetchMs', type: 'double' },
            { name: 'decodeMs', type: 'double' },
            { name: 'prepareMs', type: 'double' },
            { name: 'inferMs', type: 'double', doc: 'time of the whole batch that it was in' },
            { name: 'batch', type: 'int', doc: 'images in the batch' },
          ],
        },
      },
      { name: 'receivedAt', type: timestamp, doc: 'when the instance was received' },
      { name: 'predictedAt', type: timestamp },
    ],
  },
})

export type Prediction = EventOf<typeof predictions>
export type ModelVersion = Prediction['model']
export type Timings = Prediction['timings']
export type Role = Prediction['role']
