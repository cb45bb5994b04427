/**
 * How an image comes in, whichever way: bytes first, event second, answer last. The object is durable before its event is
 * appended, the event before `receive` resolves; if either store fails the sender hears it and keeps the image. An object
 * without an event is an orphan that a sweep finds; an event without its object cannot exist.
 */
import type { Ports } from '../kafka/ports.ts'
import type { Publish } from '../kafka/stage.ts'
import type { Described, ImageFacts } from '../models/imaging/port.ts'
import type { Clock } from '../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'
import { ids } from '../schemas/ids.ts'
import { type Instance, type Priority, type StoredObject, topics } from '../schemas/topics.ts'
import type { ObjectWriter } from '../storage/objects.ts'
import { createGate } from './gate.ts'

export interface IntakeOptions {
  /** Metric label. */
  producer: string
  site: string
  clock: Clock
  deps: Pick<Ports, 'objects' | 'images' | 'secrets' | 'metrics'>
  publish: Publish<typeof topics.instances>
  /** Images received at once; more wait, then hear `busy`. */
  limit: number
  /** How long an image waits for a place, ms. */
  waitMs: number
  /** Size of one image, bytes; above it `too-large`. */
  maxBytes: number
}

/** What the way in knows and the bytes may not say. */
export interface Hints {
  source: Instance['source']
  /** Models asked for by name. */
  requested?: readonly string[]
  /** Used where the image itself says nothing: plain images mostly. */
  modality?: string | undefined
  bodyPart?: string | undefined
  view?: string | undefined
  priority?: Priority | undefined
  /** Groups plain images; DICOM has its own. */
  study?: string | undefined
  /** What a C-STORE request said; other content is refused as `identity-mismatch`. */
  expect?: { sopClass: string; sopInstance: string }
  /** Called with the event before it is appended, for those who wait for what becomes of it. */
  beforePublish?: (event: Instance) => void
}

export interface Received {
  id: string
  study: string
  object: StoredObject
  facts: ImageFacts
}

export interface Intake {
  /**
   * @param bytes the whole image, in any pieces; read only as fast as it can be stored, and not to its end on a failure
   * @throws RaylogError not-an-image, malformed-dicom, truncated, empty-upload, identity-mismatch, too-large, busy,
   *   store-full, store-unavailable, log-unavailable; nothing remains of the image but, where the log failed, an orphan
   */
  receive(bytes: AsyncIterable<Uint8Array>, hints: Hints, signal?: AbortSignal): Promise<Received>
  readonly inFlight: number
  /** Resolves when nothing is being received. */
  idle(): Promise<void>
}

/** When the header is looked for, bytes: most stand before the first, and beyond the last there are only private data. */
const headSteps = [32_768, 262_144, 1_048_576] as const

/** The first bytes of an image, kept until they say what it is. */
class Head {
  #chunks: Uint8Array[] = []
  #bytes = 0
  #step = 0
  described: Described | undefined
  readonly #images: Ports['images']

  constructor(images: Ports['images']) {
    this.#images = images
  }

  async add(chunk: Uint8Array): Promise<void> {
    if (this.described) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const due = headSteps[this.#step]
    if (due !== undefined && this.#bytes >= due) await this.#look(false)
  }

  /** The image has ended. */
  async end(): Promise<Described> {
    if (this.#bytes === 0 && !this.described) throw new RaylogError('empty-upload', 'the image has no bytes')
    if (!this.described) await this.#look(true)
    if (!this.described) throw new RaylogError('truncated', 'the header does not end')
    return this.described
  }

  async #look(complete: boolean): Promise<void> {
    const head = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = [head]
    while (this.#bytes >= (headSteps[this.#step] ?? Number.POSITIVE_INFINITY)) this.#step++
    try {
      this.described = await this.#images.describe(head, complete)
      this.#chunks = []
    } catch (thrown) {
      // The header may simply be longer than what has come; past the last step it is too long.
      const error = toRaylogError(thrown)
      if (complete || error.code !== 'truncated' || this.#step === headSteps.length) throw error
    }
  }
}

function checkIdentity(facts: ImageFacts, expect: Hints['expect']): void {
  if (!expect) return
  const { dicom } = facts
  if (dicom?.sopClass !== expect.sopClass || dicom.sopInstance !== expect.sopInstance)
    throw new RaylogError('identity-mismatch', 'SOP class or instance differ between request and data set')
}

export function createIntake(options: IntakeOptions): Intake {
  const { site, clock, deps, publish, maxBytes, producer } = options
  const gate = createGate(options.limit)

  async function fill(writer: ObjectWriter, bytes: AsyncIterable<Uint8Array>, hints: Hints, signal?: AbortSignal) {
    const head = new Head(deps.images)
    let size = 0
    let checked = false
    for await (const chunk of bytes) {
      signal?.throwIfAborted()
      size += chunk.length
      if (size > maxBytes) throw new RaylogError('too-large', `larger than maxBytes of ${producer}: ${maxBytes}`)
      await head.add(chunk)
      if (head.described && !checked) {
        checkIdentity(head.described.facts, hints.expect)
        checked = true
      }
      await writer.write(chunk)
    }
    signal?.throwIfAborted()
    const described = await head.end()
    if (!checked) checkIdentity(described.facts, hints.expect)
    return described
  }

  function toEvent({ facts, patient }: Described, object: StoredObject, hints: Hints): Instance {
    const { contentType: _, ...said } = facts
    const id = ids.instance(site, facts.dicom?.sopInstance ?? null, object.sha256)
    return {
      ...said,
      id,
      site,
      study: ids.study(site, facts.dicom?.study ?? hints.study ?? id),
      source: hints.source,
      object,
      modality: facts.modality ?? hints.modality ?? null,
      bodyPart: facts.bodyPart ?? hints.bodyPart ?? null,
      view: facts.view ?? hints.view ?? null,
      patient: patient && deps.secrets.pseudonym(site, patient),
      requested: [...(hints.requested ?? [])],
      priority: hints.priority ?? 'routine',
      receivedAt: clock.now(),
    }
  }

  async function receive(bytes: AsyncIterable<Uint8Array>, hints: Hints, signal?: AbortSignal): Promise<Received> {
    const leave = await gate.enter(options.waitMs, signal)
    try {
      const writer = await deps.objects.writer()
      try {
        const described = await fill(writer, bytes, hints, signal)
        const object = await writer.commit(described.facts.contentType)
        const event = toEvent(described, object, hints)
        hints.beforePublish?.(event)
        await publish(topics.instances, event)
        return { id: event.id, study: event.study, object, facts: described.facts }
      } finally {
        await writer.abort()
      }
    } finally {
      leave()
    }
  }

  return {
    get inFlight() {
      return gate.inside
    },
    idle: () => gate.empty(),
    async receive(bytes, hints, signal) {
      try {
        const received = await receive(bytes, hints, signal)
        deps.metrics.received.inc({ producer, outcome: 'accepted' })
        deps.metrics.receivedBytes.inc({ producer }, received.object.bytes)
        return received
      } catch (thrown) {
        const error = toRaylogError(thrown)
        deps.metrics.received.inc({ producer, outcome: error.code })
        throw error
      }
    },
  }
}
