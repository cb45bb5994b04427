/**
 * The export of a log: one file, in order, that any log can take in (docs/distributed.md describes it for other readers).
 *
 * gzip over frames, each a kind (1 byte), a length (4 bytes, big endian) and that many bytes:
 *
 *   H  header, JSON: what is in it                              first, once
 *   S  an Avro schema, JSON: its id in the records that follow  before the first record that uses it
 *   R  a record: length of its JSON (4 bytes), JSON, value      in order within a partition
 *   E  end, JSON: number of records, SHA-256 of all before it   last, once
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'

const topic = z.object({
  name: z.string(),
  partitions: z.int().min(1),
  retention: z.object({ maxAgeMs: z.number().nullable(), maxBytes: z.number().nullable() }),
})
export const headerShape = z.object({
  format: z.literal('raylog-log'),
  version: z.literal(1),
  exportedAt: z.number().describe('ms since the epoch'),
  topics: z.array(topic),
  groups: z
    .array(z.object({ group: z.string(), topic: z.string(), partition: z.int(), next: z.int() }))
    .describe('offset that each stage would read next'),
})
export const schemaShape = z.object({ id: z.int(), topic: z.string(), text: z.string() })
export const metaShape = z.object({
  topic: z.int().min(0).describe('place of the topic in the header'),
  partition: z.int().min(0),
  offset: z.int().min(0),
  timestamp: z.number(),
  key: z.string(),
  headers: z.record(z.string(), z.string()),
})
export const endShape = z.object({ records: z.int(), sha256: z.string() })

export type ArchiveHeader = z.infer<typeof headerShape>
export type ArchiveSchema = z.infer<typeof schemaShape>
export type ArchiveEnd = z.infer<typeof endShape>
export interface ArchiveRecord extends Omit<z.infer<typeof metaShape>, 'topic'> {
  topic: string
  value: Buffer
}

export type Item =
  | { kind: 'header'; header: ArchiveHeader }
  | { kind: 'schema'; schema: ArchiveSchema }
  | { kind: 'record'; record: ArchiveRecord }
  | { kind: 'end'; end: ArchiveEnd }

type Kind = 'H' | 'S' | 'R' | 'E'

const headBytes = 5
/** Above the largest record that either log takes: a damaged length must not fill the memory. */
const maxFrameBytes = 128 * 1024 * 1024

export function frame(kind: Kind, ...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(headBytes)
  head.write(kind, 0, 'latin1')
  head.writeUInt32BE(
    parts.reduce((sum, part) => sum + part.byteLength, 0),
    1,
  )
  return Buffer.concat([head, ...parts])
}

export const jsonFrame = (kind: Kind, value: unknown): Buffer => frame(kind, Buffer.from(JSON.stringify(value)))

export function recordFrame({ value, ...record }: ArchiveRecord, topicIndex: number): Buffer {
  const meta = Buffer.from(JSON.stringify({ ...record, topic: topicIndex }))
  const size = Buffer.alloc(4)
  size.writeUInt32BE(meta.length)
  return frame('R', size, meta, value)
}

/** Schema id of a value in the wire format; undefined for other bytes. */
export const schemaIdOf = (value: Buffer): number | undefined =>
  value.length >= headBytes && value[0] === 0 ? value.readUInt32BE(1) : undefined

/**
 * Everything in a file, in order. The end comes only when the digest is right, so whoever has got it has got all.
 * @throws RaylogError bad-request for another kind of file, truncated, object-damaged
 */
export async function* readArchive(path: string): AsyncGenerator<Item> {
  const digest = createHash('sha256')
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  let records = 0
  for await (const { kind, body, bytes } of framesOf(path)) {
    if (end) throw damaged('something follows its end')
    if (kind !== 'E') digest.update(bytes)
    if (!header && kind !== 'H') throw new RaylogError('bad-request', 'this is not an export of a log')
    if (kind === 'H') {
      header = parse(headerShape, body)
      yield { kind: 'header', header }
    } else if (kind === 'S') yield { kind: 'schema', schema: parse(schemaShape, body) }
    else if (kind === 'R' && header) {
      records += 1
      yield { kind: 'record', record: recordOf(body, header) }
    } else if (kind === 'E') {
      end = parse(endShape, body)
      if (end.sha256 !== digest.digest('hex') || end.records !== records) throw damaged('its digest is not right')
      yield { kind: 'end', end }
    } else throw damaged(`there is a frame of kind ${JSON.stringify(kind)}`)
  }
  if (!end) throw new RaylogError('truncated', 'the export ends too early: it was not finished, or is not whole')
}

function recordOf(body: Buffer, { topics }: ArchiveHeader): ArchiveRecord {
  const size = body.length < 4 ? Number.POSITIVE_INFINITY : body.readUInt32BE(0)
  if (4 + size > body.length) throw damaged('a record is cut short')
  const { topic: index, ...meta } = parse(metaShape, body.subarray(4, 4 + size))
  const name = topics[index]?.name
  if (name === undefined) throw damaged('a record is of no topic')
  return { ...meta, topic: name, value: body.subarray(4 + size) }
}

function parse<T>(shape: z.ZodType<T>, body: Buffer): T {
  try {
    return shape.parse(JSON.parse(body.toString()))
  } catch (cause) {
    throw new RaylogError('object-damaged', 'the export is damaged, or of a version that this one does not know', {
      cause,
    })
  }
}

const damaged = (why: string) => new RaylogError('object-damaged', `the export is damaged: ${why}`)

async function* framesOf(path: string): AsyncGenerator<{ kind: string; body: Buffer; bytes: Buffer }> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 })
  const unpacked = file.pipe(createGunzip({ chunkSize: 1024 * 1024 }))
  file.on('error', error => unpacked.destroy(error))
  let rest: Buffer = Buffer.alloc(0)
  let any = false
  try {
    for await (const chunk of unpacked) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let at = 0
      for (let size = sizeAt(rest, at); size !== undefined; size = sizeAt(rest, at)) {
        const bytes = rest.subarray(at, at + size)
        any = true
        yield { kind: bytes.toString('latin1', 0, 1), body: bytes.subarray(headBytes), bytes }
        at += size
      }
      rest = rest.subarray(at)
    }
  } catch (thrown) {
    throw readError(thrown, any)
  } finally {
    file.destroy()
    unpacked.destroy()
  }
  if (rest.length > 0) throw new RaylogError('truncated', 'the export ends within a frame')
}

/** Size of the whole frame that begins there, if all of it is there. */
function sizeAt(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < headBytes) return undefined
  const size = bytes.readUInt32BE(at + 1)
  if (size > maxFrameBytes) throw damaged('a length is beyond all measure')
  return bytes.length - at < headBytes + size ? undefined : headBytes + size
}

function readError(thrown: unknown, any: boolean): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  if (code === 'Z_BUF_ERROR')
    return new RaylogError('truncated', 'the export ends too early: it was not finished, or is not whole')
  if (code === 'Z_DATA_ERROR')
    return any ? damaged('it cannot be unpacked') : new RaylogError('bad-request', 'this is not an export of a log')
  if (code === 'ENOENT') return new RaylogError('not-found', 'there is no such file')
  return thrown
}
