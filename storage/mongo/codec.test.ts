import fc from 'fast-check'
import { BSON } from 'mongodb'
import { describe, expect, it } from 'vitest'
import type { ParkedDoc } from '../../schemas/documents.ts'
import { decode, encode } from './codec.ts'

const parked = (headers: Record<string, string>): ParkedDoc => ({
  id: 'pk_1',
  stage: 'infer',
  topic: 't',
  partition: 0,
  offset: 5_000_000_000,
  key: 'k',
  value: '',
  headers,
  subject: null,
  code: 'internal',
  message: '',
  attempts: 1,
  at: 1_700_000_000_000.5,
  state: 'parked',
})

/** What the driver would read after the server kept it. */
const kept = (doc: ParkedDoc): ParkedDoc => {
  const { _id, ...fields } = BSON.deserialize(BSON.serialize(encode('parked', doc)))
  return decode<'parked'>({ _id, ...fields })
}

describe('a document for MongoDB', () => {
  it('comes back as it was, whatever its fields are called', () => {
    const name = fc.oneof(
      fc.constantFrom('_id', '_bsontype', '__proto__', '$ref', '$', '%', '%24', '%_id', 'a.b', '\0', 'id', 'toBSON'),
      fc.string({ minLength: 1, unit: 'binary' }),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), entries => {
        const doc = parked(Object.fromEntries(entries.map(([key, value]) => [key, value.toWellFormed()])))
        expect(kept(doc)).toEqual(doc)
      }),
    )
  })

  it('has no name that is a path, an operator or a type of the driver', () => {
    const stored = JSON.stringify(encode('parked', parked({ 'a.b': '', $set: '', _bsontype: '', x$y: '' })).headers)
    expect(stored).toBe('{"a%2eb":"","%24set":"","%_bsontype":"","x$y":""}')
  })

  it('is a copy, without what is undefined', () => {
    const headers = { a: '1' }
    const stored = encode('parked', { ...parked(headers), ...{ extra: undefined } })
    headers.a = '2'
    expect(stored).not.toHaveProperty('extra')
    expect(stored.headers).toEqual({ a: '1' })
  })

  it('is refused without an id, without its time, or above the size that MongoDB takes', () => {
    expect(() => encode('parked', { ...parked({}), id: '' })).toThrow(expect.objectContaining({ code: 'bad-request' }))
    expect(() => encode('parked', { ...parked({}), at: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
    const large = { ...parked({}), value: 'x'.repeat(16 * 1024 * 1024) }
    expect(() => encode('parked', large)).toThrow(expect.objectContaining({ code: 'too-large' }))
  })
})
