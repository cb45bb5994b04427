import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProtocolError, pdu, writePdu } from './pdu.ts'
import { createPduReader } from './reader.ts'

interface Value {
  context: number
  flags: number
  bytes: number[]
}

/** What a reader makes of the chunks: PDUs, and data values put together again. */
function read(chunks: Buffer[]): (Value | { type: number; body: number[] })[] {
  const seen: (Value | { type: number; body: number[] })[] = []
  let parts: number[] = []
  const push = createPduReader(
    {
      pdu: (type, body) => seen.push({ type, body: [...body] }),
      fragment(context, flags, bytes, done) {
        parts.push(...bytes)
        if (!done) return
        seen.push({ context, flags, bytes: parts })
        parts = []
      },
    },
    4_096,
  )
  for (const chunk of chunks) push(chunk)
  return seen
}

const value = fc.record({
  context: fc.nat(255),
  flags: fc.nat(3),
  bytes: fc.array(fc.nat(255), { maxLength: 40 }),
})

function toBytes({ context, flags, bytes }: Value): Buffer {
  const header = Buffer.alloc(6)
  header.writeUInt32BE(bytes.length + 2, 0)
  header[4] = context
  header[5] = flags
  return Buffer.concat([header, Buffer.from(bytes)])
}

describe('the PDU reader', () => {
  it('gives the same however the stream is cut', () => {
    const stream = fc.array(
      fc.oneof(
        fc.array(value, { minLength: 1, maxLength: 3 }),
        fc.record({ type: fc.constantFrom(pdu.releaseRq, pdu.abort), body: fc.array(fc.nat(255), { maxLength: 8 }) }),
      ),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (pdus, cuts) => {
        const bytes = Buffer.concat(
          pdus.map(one =>
            Array.isArray(one) ? writePdu(pdu.data, ...one.map(toBytes)) : writePdu(one.type, Buffer.from(one.body)),
          ),
        )
        const chunks: Buffer[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1
          chunks.push(bytes.subarray(at, at + size))
          at += size
        }
        expect(read(chunks)).toEqual(pdus.flat())
      }),
      { numRuns: 300 },
    )
  })

  it('throws nothing but ProtocolError for any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), chunks => {
        try {
          read(chunks.map(chunk => Buffer.from(chunk)))
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 500 },
    )
  })
})
