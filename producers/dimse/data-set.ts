/** The data set of one message, as it comes in. Whoever reads it may stop; the rest can then be read past. */
import { RaylogError } from '../../schemas/errors.ts'
import type { Incoming, Link } from '../dicom-link.ts'
import { abortReason, ProtocolError } from '../dicom-pdu.ts'
import { isCommand, isLast } from '../dicom-reader.ts'
import { createPace, type Pace } from '../pace.ts'

export class DataSet {
  readonly #link: Link
  readonly #context: number
  readonly #stallMs: number
  readonly #pace: Pace
  #complete = false
  /** Why the connection cannot go on, where it cannot. */
  ended: Exclude<Incoming, { kind: 'fragment' | 'interrupted' }> | undefined

  constructor(link: Link, context: number, stallMs: number) {
    this.#link = link
    this.#context = context
    this.#stallMs = stallMs
    this.#pace = createPace(stallMs)
  }

  /** What comes next, undefined after the last. @throws RaylogError truncated, and `ended` says why */
  async #next(): Promise<Buffer | undefined> {
    while (!this.#complete && !this.ended) {
      const began = performance.now()
      const what = await this.#link.take(this.#stallMs)
      const bytes = what.kind === 'fragment' ? what.bytes.length : 0
      const fastEnough = this.#pace.waited(performance.now() - began, bytes)
      if (what.kind === 'interrupted') continue
      if (what.kind !== 'fragment') {
        this.ended = what
      } else if (what.context !== this.#context || isCommand(what.flags)) {
        const message = 'a fragment of another message within a data set'
        this.ended = { kind: 'broken', error: new ProtocolError(abortReason.unexpectedPdu, message) }
      } else if (!fastEnough) {
        this.ended = { kind: 'late' }
      } else {
        this.#complete = what.done && isLast(what.flags)
        if (what.bytes.length > 0) return what.bytes
      }
    }
    if (this.ended) throw new RaylogError('truncated', `the data set did not end: ${this.ended.kind}`)
    return undefined
  }

  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    for (let bytes = await this.#next(); bytes; bytes = await this.#next()) yield bytes
  }

  /** Reads past what is left. @returns whether the message came to its end */
  async skip(): Promise<boolean> {
    try {
      while (await this.#next());
      return true
    } catch (thrown) {
      if (this.ended) return false
      throw thrown
    }
  }
}
