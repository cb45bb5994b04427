/** The data set of one message, as it comes in. Whoever reads it may stop; the rest can then be read past. */

import type { Fragment, Incoming, Link } from '../../dicom/link.ts'
import { abortReason, ProtocolError } from '../../dicom/pdu.ts'
import { isCommand, isLast } from '../../dicom/reader.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { createPace, type Pace } from '../pace.ts'

export class DataSet {
  readonly #link: Link
  readonly #context: number
  readonly #stallMs: number
  readonly #pace: Pace
  /** What `fill` had no room for. */
  #left: Buffer | undefined
  #complete = false
  /** Why the connection cannot go on, where it cannot. */
  ended: Exclude<Incoming, { kind: 'fragment' | 'interrupted' }> | undefined

  constructor(link: Link, context: number, stallMs: number) {
    this.#link = link
    this.#context = context
    this.#stallMs = stallMs
    this.#pace = createPace(stallMs)
  }

  /**
   * Copies what comes next, straight from the socket's memory, until the data set has ended or `into` is full.
   * @param seen told of each piece that was copied, in their order
   * @throws RaylogError truncated, and `ended` says why
   */
  async fill(into: Uint8Array, seen?: (piece: Uint8Array) => void): Promise<{ bytes: number; ended: boolean }> {
    let at = 0
    let last = performance.now()
    const sink = (fragment: Fragment) => {
      if (at + fragment.bytes.length > into.length || !this.#accept(fragment)) return 'refused'
      const now = performance.now()
      if (!this.#pace.waited(now - last, fragment.bytes.length) && !this.#complete) this.ended = { kind: 'late' }
      last = now
      into.set(fragment.bytes, at)
      at += fragment.bytes.length
      seen?.(fragment.bytes)
      return this.#complete || this.ended ? 'last' : 'taken'
    }
    while (!this.#complete && !this.ended && at < into.length) {
      const what = await this.#link.take(this.#stallMs, sink)
      if (what.kind === 'fragment') {
        if (!this.#accept(what)) break
        const fits = into.length - at
        into.set(what.bytes.subarray(0, fits), at)
        seen?.(what.bytes.subarray(0, fits))
        at = into.length
        this.#left = what.bytes.subarray(fits)
      } else if (what.kind !== 'interrupted' && what.kind !== 'sunk') this.ended = what
    }
    this.#throwIfEnded()
    return { bytes: at, ended: this.#complete && !this.#left }
  }

  /** Whether the fragment is one of this data set; if not, `ended` says so. */
  #accept({ context, flags, done }: Fragment): boolean {
    if (context !== this.#context || isCommand(flags)) {
      const message = 'a fragment of another message within a data set'
      this.ended = { kind: 'broken', error: new ProtocolError(abortReason.unexpectedPdu, message) }
      return false
    }
    this.#complete = done && isLast(flags)
    return true
  }

  #throwIfEnded(): void {
    if (this.ended) throw new RaylogError('truncated', `the data set did not end: ${this.ended.kind}`)
  }

  /** What comes next, undefined after the last. @throws RaylogError truncated, and `ended` says why */
  async #next(): Promise<Buffer | undefined> {
    const left = this.#left
    this.#left = undefined
    if (left && left.length > 0) return left
    while (!this.#complete && !this.ended) {
      const began = performance.now()
      const what = await this.#link.take(this.#stallMs)
      const bytes = what.kind === 'fragment' ? what.bytes.length : 0
      const fastEnough = this.#pace.waited(performance.now() - began, bytes)
      if (what.kind === 'interrupted') continue
      if (what.kind !== 'fragment') this.ended = what
      else if (this.#accept(what)) {
        if (!fastEnough) this.ended = { kind: 'late' }
        else if (what.bytes.length > 0) return what.bytes
      }
    }
    this.#throwIfEnded()
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
