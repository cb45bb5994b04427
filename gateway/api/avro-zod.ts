/** zod out of Avro: the shape of an event in an HTTP answer is the one on the log, not a second one. */
import { z } from 'zod'
import type { AvroField, AvroSchema, Infer } from '../../schemas/avro.ts'

type ShapeOf<F extends readonly AvroField[]> = { [K in F[number] as K['name']]: z.ZodType<Infer<K['type']>> }

/** The zod object of an Avro record, field by field, with the docs as descriptions. */
export function recordOf<const F extends readonly AvroField[]>(schema: {
  readonly type: 'record'
  readonly fields: F
}): z.ZodObject<ShapeOf<F>> {
  // The keys and types are those of `F` by construction, which the untyped walk below forgets.
  return objectOf(schema.fields) as unknown as z.ZodObject<ShapeOf<F>>
}

function objectOf(fields: readonly AvroField[]): z.ZodType {
  return z.object(
    Object.fromEntries(
      fields.map(({ name, type, doc }) => [name, doc === undefined ? typeOf(type) : typeOf(type).describe(doc)]),
    ),
  )
}

function typeOf(schema: AvroSchema): z.ZodType {
  if (typeof schema === 'string') return primitive(schema)
  if (isUnion(schema)) return unionOf(schema)
  switch (schema.type) {
    case 'record':
      return objectOf(schema.fields)
    case 'enum':
      return z.enum(schema.symbols)
    case 'array':
      return z.array(typeOf(schema.items))
    case 'map':
      return z.record(z.string(), typeOf(schema.values))
    case 'long':
      return z.int().describe('ms since the epoch')
  }
}

function primitive(name: Extract<AvroSchema, string>): z.ZodType {
  switch (name) {
    case 'null':
      return z.null()
    case 'boolean':
      return z.boolean()
    case 'int':
    case 'long':
      return z.int()
    case 'float':
    case 'double':
      return z.number()
    case 'string':
      return z.string()
    case 'bytes':
      return z.instanceof(Uint8Array)
  }
}

const isUnion = (schema: Exclude<AvroSchema, string>): schema is readonly AvroSchema[] => Array.isArray(schema)

function unionOf(branches: readonly AvroSchema[]): z.ZodType {
  const types = branches.filter(branch => branch !== 'null').map(typeOf)
  const [only] = types
  const inner = types.length === 1 && only !== undefined ? only : z.union(types)
  return types.length < branches.length ? inner.nullable() : inner
}
