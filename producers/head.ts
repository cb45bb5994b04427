/** What is held in memory of an image that comes in: all of a small one, the beginning of a large one. */
import type { Described, Images } from '../models/imaging/port.ts'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'

/**
 * Up to the first of these an image is held and checked whole, and nothing is written of one that is refused; a larger one
 * goes straight to the store, and is held only until its header is read. Beyond the first are TIFFs, whose header may be
 * their last bytes. Bytes.
 */
const headSteps = [1_048_576, 8_388_608, 67_108_864] as const

/** Images up to this are held whole, bytes. */
export const wholeBytes = headSteps[0]

/**
 * Memory for the images that are held whole, used again and again: half a megabyte of fresh memory for each of hundreds of
 * images a second would keep the garbage collector busy for a third of the time (bench/notes-receive.md).
 */
export class Shelf {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(headSteps[0])
  }

  /** Only of an image that is done with: a store that gave up may still be reading from it. */
  give(buffer: Buffer): void {
    this.#free.push(buffer)
  }
}

/** The first bytes of an image, held until they say what it is. */
export class Head {
  readonly #images: Pick<Images, 'describe'>
  readonly #shelf: Shelf
  /** Holds the bytes as long as they fit. */
  #buffer: Buffer | undefined
  #chunks: Uint8Array[] = []
  #bytes = 0
  #step = 0
  described: Described | undefined

  constructor(images: Pick<Images, 'describe'>, shelf: Shelf) {
    this.#images = images
    this.#shelf = shelf
  }

  /** @returns whether more has come than is held whole */
  get overflowed(): boolean {
    return this.#step > 0
  }

  async add(chunk: Uint8Array): Promise<void> {
    if (this.described) return
    this.#keep(chunk)
    this.#bytes += chunk.length
    const due = headSteps[this.#step]
    if (due === undefined || this.#bytes <= due) return
    while (this.#bytes > (headSteps[this.#step] ?? Number.POSITIVE_INFINITY)) this.#step++
    try {
      this.described = await this.#images.describe(this.bytes(), false)
    } catch (thrown) {
      // The header may simply be longer than what has come; past the last step it is too long.
      if (toRaylogError(thrown).code !== 'truncated' || this.#step === headSteps.length) throw thrown
    }
  }

  #keep(chunk: Uint8Array): void {
    const end = this.#bytes + chunk.length
    if (end > headSteps[0]) {
      this.#chunks.push(chunk)
      return
    }
    this.#buffer ??= this.#shelf.take()
    this.#buffer.set(chunk, this.#bytes)
    this.#chunks = [this.#buffer.subarray(0, end)]
  }

  /** What is held, in one piece. */
  bytes(): Uint8Array {
    const whole = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [whole]
    return whole
  }

  /** Lets go of what is held, once it has been described and written. */
  forget(): void {
    this.#chunks = []
    if (this.#buffer) this.#shelf.give(this.#buffer)
    this.#buffer = undefined
  }

  /** The image has ended. */
  async end(): Promise<Described> {
    if (this.described) return this.described
    if (this.#bytes === 0) throw new RaylogError('empty-upload', 'the image has no bytes')
    this.described = await this.#images.describe(this.bytes(), true)
    return this.described
  }
}
