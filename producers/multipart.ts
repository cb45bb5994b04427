/**
 * Reads multipart/related (RFC 2387, RFC 2046 5.1) as it comes: no part is held. Parsers of forms know only form-data.
 */
import { RaylogError } from '../schemas/errors.ts'

export interface RelatedPart {
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>
  /** Its bytes. Need not be read to its end: what is left is passed over when the next part is asked for. */
  chunks: AsyncGenerator<Buffer, void, undefined>
}

/** What stands before the first boundary, and the headers of one part; bytes. */
const maxPreamble = 64 * 1024
const maxHeaders = 16 * 1024
const dashes = Buffer.from('--')
const lineEnd = Buffer.from('\r\n')
const headersEnd = Buffer.from('\r\n\r\n')

/**
 * The boundary that a content type names, and the media type of its parts.
 * @throws RaylogError bad-request
 */
export function relatedType(contentType: string): { boundary: string; type: string | undefined } {
  const parameter = (name: string): string | undefined => {
    const match = new RegExp(`;\\s*${name}\\s*=\\s*(?:"([^"]*)"|([^;\\s"]+))`, 'i').exec(contentType)
    return match?.[1] ?? match?.[2]
  }
  const boundary = parameter('boundary')
  // 70 characters are the most of RFC 2046; Orthanc sends 73.
  if (boundary === undefined || !/^[0-9A-Za-z'()+_,./:=? -]{1,200}$/.test(boundary) || boundary.endsWith(' '))
    throw new RaylogError('bad-request', 'the content type names no boundary, or one that is none')
  return { boundary, type: parameter('type')?.toLowerCase() }
}

/** Bytes that came and were not read yet. */
class Pending {
  readonly #chunks: AsyncIterator<Buffer, unknown>
  bytes: Buffer = Buffer.alloc(0)

  constructor(chunks: AsyncIterator<Buffer, unknown>) {
    this.#chunks = chunks
  }

  /** @returns whether there was more */
  async more(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done) return false
    this.bytes = this.bytes.length === 0 ? next.value : Buffer.concat([this.bytes, next.value])
    return true
  }

  take(count: number): Buffer {
    const taken = this.bytes.subarray(0, count)
    this.bytes = this.bytes.subarray(count)
    return taken
  }
}

const early = () => new RaylogError('truncated', 'the request ends within a part, or before its last boundary')

/**
 * The parts, one after the other.
 * @throws RaylogError truncated, bad-request; also from a part's chunks
 */
export async function* relatedParts(
  chunks: AsyncGenerator<Buffer, void, undefined>,
  boundary: string,
): AsyncGenerator<RelatedPart, void, undefined> {
  const pending = new Pending(chunks)
  // A boundary begins a line: the body itself begins with one.
  pending.bytes = lineEnd
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  let within = false

  /** The part's bytes up to the next boundary. */
  async function* body(): AsyncGenerator<Buffer, void, undefined> {
    while (within) {
      const at = pending.bytes.indexOf(delimiter)
      if (at >= 0) {
        within = false
        const last = pending.take(at)
        pending.take(delimiter.length)
        if (last.length > 0) yield last
        return
      }
      const sure = pending.bytes.length - delimiter.length + 1
      if (sure > 0) yield pending.take(sure)
      if (!(await pending.more())) throw early()
    }
  }

  try {
    await upTo(pending, delimiter, maxPreamble, 'no boundary where the first is due')
    pending.take(delimiter.length)
    while (!(await isLast(pending))) {
      const headers = await headersOf(pending)
      within = true
      yield { headers, chunks: body() }
      for await (const _ of body()); // what was not read
    }
  } finally {
    await chunks.return()
  }
}

/** Reads until `what` stands at the beginning of what is pending, and drops what stands before. */
async function upTo(pending: Pending, what: Buffer, limit: number, fault: string): Promise<void> {
  for (let dropped = 0; ; ) {
    const at = pending.bytes.indexOf(what)
    if (at >= 0) {
      pending.take(at)
      return
    }
    dropped += pending.take(Math.max(0, pending.bytes.length - what.length + 1)).length
    if (dropped > limit) throw new RaylogError('bad-request', fault)
    if (!(await pending.more())) throw new RaylogError(dropped === 0 ? 'empty-upload' : 'bad-request', fault)
  }
}

/** After a boundary: two dashes where it is the last, or else the end of its line. */
async function isLast(pending: Pending): Promise<boolean> {
  while (pending.bytes.length < 2) if (!(await pending.more())) throw early()
  if (pending.bytes.subarray(0, 2).equals(dashes)) return true
  for (;;) {
    const at = pending.bytes.indexOf(lineEnd)
    if (at >= 0) {
      if (pending.take(at).toString('latin1').trim() !== '')
        throw new RaylogError('bad-request', 'something other than a line end behind a boundary')
      return false
    }
    if (pending.bytes.length > 1024) throw new RaylogError('bad-request', 'a boundary without a line end')
    if (!(await pending.more())) throw early()
  }
}

/** The headers of a part, the line end before them still pending. */
async function headersOf(pending: Pending): Promise<Map<string, string>> {
  for (;;) {
    const at = pending.bytes.indexOf(headersEnd)
    if (at >= 0) {
      const text = pending.take(at).toString('latin1')
      pending.take(headersEnd.length)
      const lines = text.split('\r\n').filter(line => line.includes(':'))
      return new Map(
        lines.map(line => [
          line.slice(0, line.indexOf(':')).trim().toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
      )
    }
    if (pending.bytes.length > maxHeaders) throw new RaylogError('bad-request', 'the headers of a part are too long')
    if (!(await pending.more())) throw early()
  }
}
