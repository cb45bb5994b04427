/**
 * Where objects that just came stand until they have files of their own: in segments (segment.ts), many objects a sync.
 *
 *   put ─▶ into a batch ─▶ one write, synced ─▶ resolves ─▶ its note, where it has one, is delivered (notes.ts)
 *                                  │ when nothing has come for a while, or much waits
 *                                  ▼
 *                 a file of its own, synced ─▶ forgotten here, when the note is delivered too
 *
 * A sync costs one flush of the disk here, where a new file costs its making, its blocks, its name and its folder's entry. So
 * a burst of images is answered at the pace of the disk, and the files are made behind it. A process that is killed leaves its
 * segments to the next one, which takes up what stands in them. Only one process may have arrivals in a folder.
 */
import { mkdir, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { RaylogError } from '../../schemas/errors.ts'
import { pageBytes } from '../direct.ts'
import { storeError } from '../folder-keys.ts'
import { createBatches, largestArrival, type Placed } from './batches.ts'
import { createLoans } from './loans.ts'
import { createNotes, type Note } from './notes.ts'
import type { Arrivals, ArrivalsOptions, Deliver } from './port.ts'
import { largestNote, noNote, recordBytes, type Use } from './records.ts'
import { eraseRecord, reopenSegment, type Segment } from './segment.ts'
import { createSupply } from './supply.ts'

interface Entry extends Placed {
  use: Use
  storedAt: number
  /** Its file is being made; resolves with why it has none. */
  moving?: Promise<RaylogError | undefined> | undefined
}

/** Files made at once: they share the syncs of what the file system keeps of them. */
const filedAtOnce = 32

const nobody: Deliver = () => Promise.reject(new RaylogError('log-unavailable', 'nobody takes the notes on what came'))

export async function openArrivals(options: ArrivalsOptions): Promise<Arrivals> {
  const { folder, file, deliver, segmentBytes = 64 * 1024 * 1024, maxSegments = 16, idleMs = 500 } = options
  /** What has no file yet. */
  const here = new Map<string, Entry>()
  /** What has, or was never acknowledged, but whose bytes may stand in a segment: they must go too when it is deleted. */
  const rest = new Set<Entry>()
  const coming = new Map<string, Promise<boolean>>()
  const loans = createLoans()
  const segments = new Set<Segment>()
  const inherited = new Set<Segment>()
  let lastPut = 0
  let turn = 0
  let draining: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const batches = createBatches(nextSegment)
  const another = () => segments.size < maxSegments
  const supply = createSupply({ folder, segmentBytes }, another, segment => void segments.add(segment))

  function nextSegment(): Segment | undefined {
    const before = batches.current
    if (before && before.live === 0 && !inherited.has(before)) supply.give(before)
    const segment = supply.take()
    if (!segment) return undefined
    segment.begin(++turn)
    for (const entry of rest) {
      const { use, place } = entry
      const over = entry.segment !== segment && entry.segment.use !== use
      if (over && place.at + recordBytes(place.bytes) <= entry.segment.written) rest.delete(entry)
    }
    return segment
  }

  const isPressed = () => segments.size - supply.free > maxSegments / 2
  const isIdle = () => closed || performance.now() - lastPut >= idleMs

  function soon(): void {
    lastPut = performance.now()
    if (isPressed()) void drain()
    if (timer) timer.refresh()
    else timer = setTimeout(() => void drain(), idleMs).unref()
  }

  /** Makes files, the oldest first, as long as there is time for it. */
  function drain(): Promise<void> {
    draining ??= drainSome().finally(() => {
      draining = undefined
      if (here.size > 0 && !closed) timer?.refresh()
    })
    return draining
  }

  async function drainSome(): Promise<void> {
    const entries = [...here.values()]
    for (let at = 0; at < entries.length && (isIdle() || isPressed()); at += filedAtOnce) {
      const some = entries.slice(at, at + filedAtOnce)
      // Tried again; whoever needs a file hears of it. One alone that cannot be read must not hold up those behind it.
      if ((await move(some)) && some.every(entry => here.get(entry.place.sha256) === entry)) return
    }
  }

  /** One of its records needs it no more. */
  function leave(segment: Segment): void {
    segment.live--
    if (segment.live > 0 || segment === batches.current || !segments.has(segment)) return
    if (inherited.has(segment) || segment.broken) discard(segment)
    else supply.give(segment)
  }

  function discard(segment: Segment): void {
    segments.delete(segment)
    inherited.delete(segment)
    for (const entry of rest) if (entry.segment === segment) rest.delete(entry)
    void segment.remove().catch(() => undefined) // its objects have files; the next open looks again
  }

  /** Makes the files of those that are here still. Resolves when they have them, with why one has none. */
  async function move(entries: readonly Entry[]): Promise<RaylogError | undefined> {
    const idle = entries.filter(entry => here.get(entry.place.sha256) === entry && !entry.moving)
    for (let at = 0; at < idle.length; at += filedAtOnce) {
      const some = idle.slice(at, at + filedAtOnce)
      const outcomes = fileThem(some)
      some.forEach((entry, index) => {
        entry.moving = outcomes.then(all => {
          entry.moving = undefined
          return all[index]
        })
      })
    }
    return (await Promise.all(entries.map(({ moving }) => moving))).find(outcome => outcome !== undefined)
  }

  async function fileThem(entries: readonly Entry[]): Promise<(RaylogError | undefined)[]> {
    const standing = entries.map(({ segment, place: { sha256, at, bytes } }) => {
      return { sha256, segment: segment.path, at: at + pageBytes, bytes }
    })
    const outcomes = await file(standing).catch(thrown => entries.map(() => storeError(thrown)))
    entries.forEach((entry, index) => {
      here.delete(entry.place.sha256)
      if (outcomes[index]) {
        here.set(entry.place.sha256, entry) // behind the others
        return
      }
      rest.add(entry)
      leave(entry.segment)
    })
    return outcomes
  }

  const busy = (sha256: string): Promise<unknown> | undefined =>
    coming.get(sha256) ?? here.get(sha256)?.moving ?? loans.of(sha256)

  const readEntry = ({ segment, place }: Entry, start = 0, length = place.bytes) =>
    segment.read(place.at + pageBytes + start, Math.max(0, Math.min(length, place.bytes - start)))

  async function arrive(bytes: Uint8Array, sha256: string, note: Buffer): Promise<boolean> {
    if (supply.free === 0 && !batches.current) supply.prepare()
    const placed = await batches.add(bytes, { sha256, note })
    if (!placed) return false
    const { segment, place, failure } = placed
    const entry = { segment, place, use: segment.use, storedAt: Date.now() }
    if (failure) {
      // A part of it, or all, may stand there.
      rest.add(entry)
      leave(segment)
      throw failure.because
    }
    here.set(sha256, entry)
    if (note.length > 0) notes.add(noteOf(segment, sha256, note))
    soon()
    return true
  }

  async function begin(bytes: Uint8Array, sha256: string, note: Buffer): Promise<boolean> {
    const fits = bytes.length <= largestArrival && pageBytes + recordBytes(bytes.length) <= segmentBytes
    if (closed || bytes.length === 0 || !fits) return false
    const under = arrive(bytes, sha256, note).finally(() => coming.delete(sha256))
    coming.set(sha256, under)
    return under
  }

  /** Its segment gets no other use before it is delivered. */
  function noteOf(segment: Segment, sha256: string, bytes: Buffer): Note {
    segment.live++
    return { sha256, bytes, delivered: () => leave(segment) }
  }

  await mkdir(folder, { recursive: true, mode: 0o700 })
  const left: Note[] = []
  const found: Awaited<ReturnType<typeof reopenSegment>>[] = []
  for (const name of await readdir(folder)) await find(join(folder, name))
  for (const one of found.toSorted((a, b) => a.segment.turn - b.segment.turn)) takeUp(one)
  const notes = createNotes(deliver ?? nobody, left)
  if (here.size > 0) soon()

  async function find(path: string): Promise<void> {
    const one = path.endsWith('.new') ? undefined : await reopenSegment(path)
    if (one && one.records.length > 0) {
      found.push(one)
      return
    }
    await one?.segment.close()
    await unlink(path)
  }

  function takeUp({ segment, records }: (typeof found)[number]): void {
    turn = segment.turn
    segment.live = records.length
    segments.add(segment)
    inherited.add(segment)
    for (const { note, ...place } of records) {
      const entry = { segment, place, use: segment.use, storedAt: Date.now() }
      if (note.length > 0) left.push(noteOf(segment, place.sha256, note))
      if (here.has(place.sha256)) {
        rest.add(entry)
        leave(segment)
      } else here.set(place.sha256, entry)
    }
  }

  return {
    get refused() {
      return notes.refused
    },
    async put(bytes, sha256) {
      const known = here.get(sha256)
      if (known) known.storedAt = Date.now()
      const kept = known ? !closed : await (coming.get(sha256) ?? begin(bytes, sha256, noNote))
      // What its caller says of it next must not come before what is said already.
      await notes.told(sha256)
      return kept
    },
    async putNoted(bytes, sha256, write) {
      const isNew = () => !here.has(sha256) && !coming.has(sha256)
      if (!deliver || !notes.open || !isNew()) return false
      const note = Buffer.from(await write())
      return note.length > 0 && note.length <= largestNote && isNew() && begin(bytes, sha256, note)
    },
    async read(sha256, start, length) {
      const entry = here.get(sha256)
      const bytes = entry && (await readEntry(entry, start, length))
      // It may have got its file meanwhile, and its segment another use.
      return here.get(sha256) === entry ? bytes : undefined
    },
    stat(sha256) {
      const entry = here.get(sha256)
      return entry && { bytes: entry.place.bytes, modifiedAt: entry.storedAt }
    },
    lend(sha256) {
      const entry = here.get(sha256)
      if (!entry) return undefined
      const { segment, place } = entry
      segment.live++ // it gets no other use meanwhile
      const release = loans.begin(sha256, () => leave(segment))
      return { path: segment.path, start: place.at + pageBytes, bytes: place.bytes, release }
    },
    keys: () => [...here.keys()],
    async settle(sha256) {
      const one = sha256 === undefined ? undefined : here.get(sha256)
      const failed = await move(sha256 === undefined ? [...here.values()] : one ? [one] : [])
      if (failed) throw failed
    },
    async erase(sha256) {
      for (;;) {
        const under = busy(sha256)
        if (under) await Promise.allSettled([under])
        // What is said of it is said before it goes.
        const note = notes.of(sha256)
        if (!under && !note) break
        await note
      }
      const entry = here.get(sha256)
      here.delete(sha256)
      if (entry) rest.add(entry)
      try {
        for (const one of [...rest].filter(({ place }) => place.sha256 === sha256)) {
          const { segment, place, use } = one
          const erased = () => eraseRecord(segment, place, segment.use === use ? 0 : segment.written)
          await batches.alone(async () => void (segments.has(segment) && (await erased())))
          rest.delete(one)
        }
      } finally {
        if (entry) leave(entry.segment)
      }
      return entry !== undefined
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.allSettled([...coming.values(), supply.close()])
      await notes.close()
      await drain()
      await drain()
      if (here.size === 0 && notes.waiting === 0) await Promise.all([...segments].map(segment => segment.remove()))
      else await Promise.all([...segments].map(segment => segment.close()))
    },
  }
}
