/** Avro schemas as TypeScript constants: the schema is written once and its type is derived from it. */

export interface AvroField {
  readonly name: string
  readonly type: AvroSchema
  readonly doc?: string
  readonly default?: unknown
}

export type AvroSchema =
  | 'null'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'bytes'
  | 'string'
  | readonly AvroSchema[]
  | { readonly type: 'record'; readonly name: string; readonly doc?: string; readonly fields: readonly AvroField[] }
  | { readonly type: 'enum'; readonly name: string; readonly symbols: readonly string[]; readonly default?: string }
  | { readonly type: 'array'; readonly items: AvroSchema }
  | { readonly type: 'map'; readonly values: AvroSchema }
  | { readonly type: 'long'; readonly logicalType: 'timestamp-millis' }

/** The TypeScript type of the values that schema `S` describes. Longs are numbers (ms since the epoch, offsets, bytes). */
export type Infer<S> = S extends 'null'
  ? null
  : S extends 'boolean'
    ? boolean
    : S extends 'int' | 'long' | 'float' | 'double'
      ? number
      : S extends 'bytes'
        ? Buffer
        : S extends 'string'
          ? string
          : S extends readonly unknown[]
            ? Infer<S[number]>
            : S extends { type: 'record'; fields: infer F extends readonly { name: string; type: unknown }[] }
              ? { -readonly [K in F[number] as K['name']]: Infer<K['type']> }
              : S extends { type: 'enum'; symbols: infer Y extends readonly string[] }
                ? Y[number]
                : S extends { type: 'array'; items: infer I }
                  ? Infer<I>[]
                  : S extends { type: 'map'; values: infer V }
                    ? Record<string, Infer<V>>
                    : S extends { type: infer T }
                      ? Infer<T>
                      : never

export const timestamp = { type: 'long', logicalType: 'timestamp-millis' } as const

/** A field that may be absent. Null comes first, as Avro wants where the default is null. */
export const optional = <const T extends AvroSchema>(type: T): readonly ['null', T] => ['null', type]

/** A topic of the log: what it is called, what its records look like, and which field keeps their order. */
export interface Topic<S extends AvroSchema = AvroSchema, N extends string = string> {
  readonly name: N
  readonly schema: S
  /** The record field whose value is the key: records of one key keep their order. */
  readonly keyField: string
  /** Partitions when nothing else is configured. */
  readonly partitions: number
  /** How long records are kept when nothing else is configured, days; null keeps them for ever. */
  readonly retentionDays: number | null
  /**
   * The log may keep the newest record of each key alone. None of ours is so: each is a history that replays, exports, audits and
   * stages that come later read from its beginning, and several records of one key stand beside each other (the images of a study).
   * What is newest of a thing is in its document.
   */
  readonly compacted?: boolean
}

/** The type of a topic's records; of a topic that is not known at compile time, any record. */
export type EventOf<T> = T extends Topic<infer S> ? (AvroSchema extends S ? Record<string, unknown> : Infer<S>) : never

export function defineTopic<const S extends AvroSchema, const N extends string>(topic: Topic<S, N>): Topic<S, N> {
  return topic
}
