/** The parts of a multipart/related body as it comes (RFC 2046 5.1, PS3.18 8.7.1): one part at a time, never held whole. */
import { RaylogError } from '../../schemas/errors.ts'

const maxHeaderBytes = 16_384

/** @throws RaylogError peer-refused where it is none */
export function boundaryOf(contentType: string | null): string {
  const found = /^multipart\/related\b.*?;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType ?? '')
  const boundary = found?.[1] ?? found?.[2]
  if (!boundary) throw new RaylogError('peer-refused', 'an answer that is not multipart/related')
  return boundary
}

/** Each part's body; it is to be read to its end before the next part is asked for. @throws RaylogError truncated, peer-refused */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<AsyncGenerator<Buffer, void, undefined>, void, undefined> {
  const chunks = body[Symbol.asyncIterator]()
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  // The first delimiter has no line before it.
  let held: Buffer = Buffer.from('\r\n')

  async function more(): Promise<void> {
    const next = await chunks.next()
    if (next.done) throw new RaylogError('truncated', 'the answer broke off')
    held = Buffer.concat([held, next.value])
  }

  /** Bytes up to the next delimiter, which is taken too. */
  async function* upToDelimiter(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const at = held.indexOf(delimiter)
      // A delimiter may be cut in two by the chunks.
      const sure = at >= 0 ? at : Math.max(0, held.length - delimiter.length + 1)
      const bytes = held.subarray(0, sure)
      held = held.subarray(at >= 0 ? at + delimiter.length : sure)
      if (bytes.length > 0) yield bytes
      if (at >= 0) return
      await more()
    }
  }

  for await (const _preamble of upToDelimiter());
  for (;;) {
    while (held.length < 2) await more()
    if (held.subarray(0, 2).toString() === '--') return
    let end = held.indexOf('\r\n\r\n')
    while (end < 0) {
      if (held.length > maxHeaderBytes) throw new RaylogError('peer-refused', 'the header of a part is too long')
      await more()
      end = held.indexOf('\r\n\r\n')
    }
    // The line break before a delimiter belongs to it: an empty body is a delimiter at once.
    held = held.subarray(end + 4)
    const part = upToDelimiter()
    let ended = false
    yield (async function* () {
      yield* part
      ended = true
    })()
    if (!ended) for await (const _rest of part);
  }
}
