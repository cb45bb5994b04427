import { defineTopic, type EventOf, optional, timestamp } from '../avro.ts'

/** An instance is stored: its bytes are in the object store, and this record says what and where they are. No names. */
export const instances = defineTopic({
  name: 'imaging.instances.v1',
  keyField: 'study',
  partitions: 6,
  retentionDays: 365,
  schema: {
    type: 'record',
    name: 'Instance',
    fields: [
      { name: 'id', type: 'string', doc: 'derived from site, SOP Instance UID (or upload) and content digest' },
      { name: 'site', type: 'string', doc: 'hospital or tenant that the image came from' },
      { name: 'study', type: 'string', doc: 'derived from site and Study Instance UID; the key' },
      {
        name: 'source',
        type: {
          type: 'record',
          name: 'Source',
          fields: [
            {
              name: 'kind',
              type: {
                type: 'enum',
                name: 'SourceKind',
                symbols: ['other', 'dimse', 'dicomweb', 'upload', 'watch', 'retrieve', 'simulator'],
                default: 'other',
              },
            },
            { name: 'peer', type: 'string', doc: 'calling AE title, or the route that it came by' },
          ],
        },
      },
      {
        name: 'object',
        type: {
          type: 'record',
          name: 'StoredObject',
          fields: [
            { name: 'key', type: 'string' },
            { name: 'sha256', type: 'string' },
            { name: 'bytes', type: 'long' },
            { name: 'contentType', type: 'string' },
          ],
        },
      },
      {
        name: 'dicom',
        doc: 'null for a plain image (PNG, JPEG, TIFF)',
        default: null,
        type: optional({
          type: 'record',
          name: 'DicomIdentity',
          fields: [
            { name: 'sopClass', type: 'string' },
            { name: 'sopInstance', type: 'string' },
            { name: 'series', type: 'string' },
            { name: 'study', type: 'string' },
            { name: 'transferSyntax', type: 'string' },
          ],
        }),
      },
      { name: 'modality', type: optional('string'), default: null },
      { name: 'bodyPart', type: optional('string'), default: null },
      { name: 'view', type: optional('string'), default: null },
      {
        name: 'laterality',
        type: optional('string'),
        default: null,
        doc: 'L, R, B or U; Image Laterality or Laterality',
      },
      { name: 'rows', type: optional('int'), default: null, doc: 'pixels; null where there is no image in it' },
      { name: 'columns', type: optional('int'), default: null },
      { name: 'frames', type: 'int', default: 1 },
      { name: 'photometric', type: optional('string'), default: null, doc: 'Photometric Interpretation' },
      {
        name: 'equipment',
        default: null,
        type: optional({
          type: 'record',
          name: 'Equipment',
          fields: [
            { name: 'manufacturer', type: optional('string'), default: null },
            { name: 'model', type: optional('string'), default: null },
            { name: 'station', type: optional('string'), default: null },
          ],
        }),
      },
      { name: 'patient', type: optional('string'), default: null, doc: 'keyed pseudonym, never an identifier' },
      {
        name: 'requested',
        type: { type: 'array', items: 'string' },
        default: [],
        doc: 'models asked for by name by the sender; empty: the routing rules decide',
      },
      {
        name: 'priority',
        type: { type: 'enum', name: 'Priority', symbols: ['routine', 'urgent', 'stat'], default: 'routine' },
        default: 'routine',
      },
      {
        name: 'studyInstances',
        type: optional('int'),
        default: null,
        doc: 'images of the whole study, where the data set says (Number of Study Related Instances)',
      },
      {
        name: 'deidentified',
        default: null,
        doc: 'what de-identification did as it came in, never what was there; null: it was stored as it came',
        type: optional({
          type: 'record',
          name: 'Deidentified',
          fields: [
            { name: 'options', type: { type: 'array', items: 'string' }, doc: 'of PS3.15 E.3' },
            {
              name: 'changes',
              type: {
                type: 'array',
                items: {
                  type: 'record',
                  name: 'DeidentifiedAttribute',
                  fields: [
                    { name: 'tag', type: 'string', doc: 'eight hexadecimal digits, or "private"' },
                    { name: 'name', type: 'string', doc: 'of the attribute, in the standard' },
                    { name: 'action', type: 'string' },
                    { name: 'count', type: 'int', doc: 'elements, those within sequences counted' },
                  ],
                },
              },
            },
            { name: 'pixels', type: 'string' },
          ],
        }),
      },
      { name: 'acquiredAt', type: optional(timestamp), default: null },
      { name: 'receivedAt', type: timestamp },
    ],
  },
})

export type Instance = EventOf<typeof instances>
export type Priority = Instance['priority']
export type StoredObject = Instance['object']
export type SourceKind = Instance['source']['kind']
