/**
 * How an image comes in, whichever way: bytes and event are durable before `receive` resolves, and if either store fails the
 * sender hears it and keeps the image. Where the object store can, one write makes both durable, and the store puts the event on
 * the log right behind the answer (ObjectStore.putNoted); else bytes first, event second. An object without an event is an
 * orphan that a sweep finds; an event without its object cannot exist.
 */
import type { Ports } from '../kafka/ports.ts'
import type { Publish, Seal, Sealed } from '../kafka/stage.ts'
import type { DeidentifyReport, Described, ImageFacts } from '../models/imaging/port.ts'
import type { Clock } from '../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'
import { ids } from '../schemas/ids.ts'
import { type Instance, type Priority, type StoredObject, topics } from '../schemas/topics.ts'
import type { ObjectWriter } from '../storage/objects.ts'
import { gathered } from './bytes.ts'
import { createGate } from './gate.ts'
import { Head, Shelf } from './head.ts'
import { checkIdentity, type Expected } from './identity.ts'
import type { Trays } from './trays.ts'

export interface IntakeOptions {
  /** Metric label. */
  producer: string
  site: string
  clock: Clock
  deps: Pick<Ports, 'objects' | 'images' | 'secrets' | 'metrics'>
  publish: Publish<typeof topics.instances>
  /** Where the sender waits for each image: the event may be kept beside the bytes first. */
  seal?: Seal<typeof topics.instances>
  /** Memory for images that a source can fill by itself (Incoming.fill). */
  trays?: Trays
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
  /** The way that it took, where its source is another: what is de-identified by either is. */
  cameBy?: Instance['source'] | undefined
  /** Models asked for by name. */
  requested?: readonly string[]
  /** Used where the image itself says nothing: plain images mostly. */
  modality?: string | undefined
  bodyPart?: string | undefined
  view?: string | undefined
  priority?: Priority | undefined
  /** Hospital or tenant of the sender; the installation's unless given. */
  site?: string | undefined
  /** Groups plain images; DICOM has its own. */
  study?: string | undefined
  /** What the request said: DICOM, and of these UIDs. Other content is refused as `identity-mismatch`. */
  expect?: Expected
  /** Called with the event before it is kept, for those who wait for what becomes of it. */
  beforePublish?: (event: Instance) => void
}

export interface Received {
  id: string
  study: string
  object: StoredObject
  facts: ImageFacts
}

/** The bytes of an image, in any pieces. */
export interface Incoming extends AsyncIterable<Uint8Array> {
  /**
   * Where a source can: copies the first bytes into memory of ours, until the image has ended or `into` is full, and tells
   * `seen` of each piece as it comes. What is iterated over comes after them.
   */
  fill?(into: Uint8Array, seen?: (piece: Uint8Array) => void): Promise<{ bytes: number; ended: boolean }>
}

export interface Intake {
  /**
   * @param bytes the whole image, in any pieces; read only as fast as it can be stored, and not to its end on a failure
   * @throws RaylogError not-an-image, malformed-dicom, truncated, empty-upload, identity-mismatch, too-large, busy,
   *   store-full, store-unavailable, log-unavailable; nothing remains of the image but, where the log failed, an orphan
   */
  receive(bytes: Incoming, hints: Hints, signal?: AbortSignal): Promise<Received>
  readonly inFlight: number
  /** Resolves when nothing is being received. */
  idle(): Promise<void>
}

interface Kept {
  described: Described
  object: StoredObject
  /** Whether its event is durable with it. */
  told?: boolean
}

type Announce = (described: Described, object: StoredObject) => Instance

/** The event is the same whichever way it gets on the log: made once. */
function once(make: Announce): Announce {
  let event: Instance | undefined
  return (described, object) => {
    event ??= make(described, object)
    return event
  }
}

async function* prepended(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first
  yield* rest
}

export function createIntake(options: IntakeOptions): Intake {
  const { clock, deps, publish, seal, trays, maxBytes, producer } = options
  const gate = createGate(options.limit)
  const shelf = new Shelf()

  /**
   * The image without those whom it shows: held in memory until it is so, for nothing else may be kept. What the sender
   * said of it is compared with what it was.
   */
  async function* deidentified(
    bytes: AsyncIterable<Uint8Array>,
    { expect, site }: Hints,
    most: number,
    reports: DeidentifyReport[],
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = await gathered(bytes, most, 'larger than may be de-identified')
    if (whole.length === 0) throw new RaylogError('empty-upload', 'the image has no bytes')
    const { bytes: clean, original, report } = await deps.images.deidentify(whole, site ?? options.site)
    checkIdentity(original, expect)
    reports.push(report)
    yield clean
  }

  function checkSize(size: number): void {
    if (size > maxBytes) throw new RaylogError('too-large', `larger than maxBytes of ${producer}: ${maxBytes}`)
  }

  /** Reads the image to its end and makes it durable. */
  async function keep(
    bytes: Incoming,
    announce: Announce,
    expect: Hints['expect'],
    signal?: AbortSignal,
  ): Promise<Kept> {
    if (!bytes.fill || !trays) return keepPieces(bytes, expect, signal)
    const tray = trays.take()
    let inUse = false
    try {
      let filled = 0
      const { bytes: size, ended } = await bytes.fill(tray.memory, piece => {
        filled += piece.length
        tray.filled(filled)
      })
      signal?.throwIfAborted()
      checkSize(size)
      const first = tray.memory.subarray(0, size)
      inUse = true
      const whole = () => keepWhole(first, announce, expect, tray.sha256(size))
      const kept = await (ended ? whole() : keepPieces(prepended(first, bytes), expect, signal))
      inUse = false
      return kept
    } finally {
      // A store that gave up may still be reading from it.
      inUse ? tray.drop() : tray.give()
    }
  }

  async function keepWhole(
    bytes: Uint8Array,
    announce: Announce,
    expect: Hints['expect'],
    digested: Promise<string | undefined>,
  ): Promise<Kept> {
    if (bytes.length === 0) throw new RaylogError('empty-upload', 'the image has no bytes')
    const described = await deps.images.describe(bytes, true)
    checkIdentity(described.facts.dicom, expect)
    const { contentType } = described.facts
    const sha256 = await digested
    if (sha256 === undefined) throw new Error('the tray of an image was dropped while it was kept')
    let sealed: Sealed | undefined
    const noted = await (seal &&
      deps.objects.putNoted?.(bytes, contentType, sha256, async stored => {
        sealed = await seal(topics.instances, announce(described, stored))
        return sealed.bytes
      }))
    if (noted) sealed?.kept()
    const object = noted ?? (await deps.objects.put(bytes, contentType, { sha256, soon: true }))
    return { described, object, told: noted !== undefined }
  }

  async function keepPieces(
    bytes: AsyncIterable<Uint8Array>,
    expect: Hints['expect'],
    signal?: AbortSignal,
  ): Promise<Kept> {
    const head = new Head(deps.images, shelf)
    let writer: ObjectWriter | undefined
    let size = 0
    try {
      for await (const chunk of bytes) {
        signal?.throwIfAborted()
        size += chunk.length
        checkSize(size)
        await head.add(chunk)
        if (!head.overflowed) continue
        const begun = writer !== undefined
        writer ??= await deps.objects.writer()
        await writer.write(begun ? chunk : head.bytes())
        if (head.described) {
          checkIdentity(head.described.facts.dicom, expect)
          head.forget()
        }
      }
      signal?.throwIfAborted()
      const described = await head.end()
      checkIdentity(described.facts.dicom, expect)
      const { contentType } = described.facts
      const object = await (writer ? writer.commit(contentType) : deps.objects.put(head.bytes(), contentType))
      head.forget()
      return { described, object }
    } finally {
      await writer?.abort()
    }
  }

  function toEvent(
    { facts, patient }: Described,
    object: StoredObject,
    hints: Hints,
    report: DeidentifyReport | undefined,
  ): Instance {
    const { contentType: _, ...said } = facts
    const site = hints.site ?? options.site
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
      deidentified: report ? { ...report, options: [...report.options], changes: [...report.changes] } : null,
      receivedAt: clock.now(),
    }
  }

  async function receive(bytes: Incoming, hints: Hints, signal?: AbortSignal): Promise<Received> {
    const leave = await gate.enter(options.waitMs, signal)
    try {
      const { source, cameBy } = hints
      const clean = deps.images.deidentifies(source) ?? (cameBy && deps.images.deidentifies(cameBy))
      const reports: DeidentifyReport[] = []
      const announce = once((described: Described, object: StoredObject) => {
        const event = toEvent(described, object, hints, reports[0])
        hints.beforePublish?.(event)
        return event
      })
      const { described, object, told } = clean
        ? await keep(
            deidentified(bytes, hints, Math.min(clean.maxBytes, maxBytes), reports),
            announce,
            undefined,
            signal,
          )
        : await keep(bytes, announce, hints.expect, signal)
      const event = announce(described, object)
      if (!told) await publish(topics.instances, event)
      return { id: event.id, study: event.study, object, facts: described.facts }
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
