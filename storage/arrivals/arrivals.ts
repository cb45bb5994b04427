/**
 * Where objects that just came stand until they have files of their own: in segments (segment.ts), many objects a sync.
 *
 *   put ─▶ into a batch ─▶ one write, synced ─▶ resolves
 *                                  │ when nothing has come for a while, or much waits
 *                                  ▼
 *                 a file of its own, synced ─▶ forgotten here
 *
 * A sync costs one flush of the disk here, where a new file costs its making, its blocks, its name and its folder's entry. So
 * a burst of images is answered at the pace of the disk, and the files are made behind it. A process that is killed leaves its
 * segments to the next one, which takes up what stands in them. Only one process may have arrivals in a folder.
 */
import { hash, randomUUID } from 'node:crypto'
import { mkdir, readdir, statfs, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { alignedMemory, canSync, pageBytes } from '../direct.ts'
import { createBatches, largestArrival, type Placed } from './batches.ts'
import { recordBytes, type Use } from './records.ts'
import { eraseRecord, makeSegment, reopenSegment, type Segment } from './segment.ts'

export interface ArrivalsOptions {
  folder: string
  /** Makes a file of it, durable. */
  store(bytes: Buffer, sha256: string): Promise<void>
  /** One segment, bytes. Default 64 MiB. */
  segmentBytes?: number
  /** Segments at most. Default 16. */
  maxSegments?: number
  /** Files are made when nothing has come for so long, ms. Default 500. */
  idleMs?: number
}

export interface Arrivals {
  /** True when it is durable here; false where there is no room: then it needs a file at once. */
  put(bytes: Uint8Array, sha256: string): Promise<boolean>
  /** The bytes from `start` on, `length` at most; undefined where it is not here. */
  read(sha256: string, start?: number, length?: number): Promise<Buffer | undefined>
  stat(sha256: string): { bytes: number; modifiedAt: number } | undefined
  /** Digests of what is here. */
  keys(): string[]
  /** Makes the file of one object, or of all; resolves when they have it. @throws store-full, store-unavailable */
  settle(sha256?: string): Promise<void>
  /** Whether it was here. Its bytes are not on the disk any more when it resolves. */
  erase(sha256: string): Promise<boolean>
  /** Makes the files of all, where that can be done; what is left is taken up at the next open. */
  close(): Promise<void>
}

interface Entry extends Placed {
  use: Use
  storedAt: number
  moving?: Promise<void> | undefined
}

/** Files made at once. */
const movers = 4
/** Segments may take an eighth of the room that is left on the disk. */
const shareOfRoom = 8
/** After a segment could not be made, none is tried for so long, ms. */
const againAfterMs = 10_000

export async function openArrivals(options: ArrivalsOptions): Promise<Arrivals> {
  const { folder, store, segmentBytes = 64 * 1024 * 1024, maxSegments = 16, idleMs = 500 } = options
  /** What has no file yet. */
  const here = new Map<string, Entry>()
  /** What has, but whose bytes still stand in a segment: they must go too when it is deleted. */
  const rest = new Map<string, Entry>()
  const coming = new Map<string, Promise<boolean>>()
  const segments = new Set<Segment>()
  const inherited = new Set<Segment>()
  const free: Segment[] = []
  let made = 0
  let making: Promise<void> | undefined
  let notBefore = 0
  let lastPut = 0
  let draining: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const batches = createBatches(nextSegment)
  const self = randomUUID()
  let zeros: Buffer | undefined

  function nextSegment(): Segment | undefined {
    const before = batches.current
    if (before && before.live === 0 && !inherited.has(before)) free.push(before)
    const segment = free.shift()
    if (free.length === 0) prepare()
    if (!segment) return undefined
    segment.begin()
    for (const [sha256, entry] of rest) {
      const { use, place } = entry
      const over = entry.segment !== segment && entry.segment.use !== use
      if (over && place.at + recordBytes(place.bytes) <= entry.segment.end) rest.delete(sha256)
    }
    return segment
  }

  /** Makes a segment ahead of its use: until it is there, objects get their files at once. */
  function prepare(): void {
    if (making || closed || !canSync || segments.size >= maxSegments || Date.now() < notBefore) return
    making = make()
      .catch(() => {
        notBefore = Date.now() + againAfterMs // full, or away: the files' own writes say so
      })
      .finally(() => {
        making = undefined
        if (free.length < 2) prepare()
      })
  }

  async function make(): Promise<void> {
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize < segmentBytes * shareOfRoom) {
      notBefore = Date.now() + againAfterMs
      return
    }
    zeros ??= alignedMemory(1024 * 1024)
    const segment = await makeSegment(join(folder, `${self}-${++made}`), segmentBytes, zeros)
    segments.add(segment)
    free.push(segment)
  }

  const isPressed = () => segments.size - free.length > maxSegments / 2
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
    const entries = [...here.values()].values()
    const mover = async () => {
      for (const entry of entries) {
        if (!isIdle() && !isPressed()) return
        await move(entry)
      }
    }
    await Promise.allSettled(Array.from({ length: movers }, mover)) // tried again; whoever needs a file hears of it
  }

  function leave(segment: Segment): void {
    segment.live--
    if (segment.live > 0 || segment === batches.current || !segments.has(segment)) return
    if (inherited.has(segment)) {
      segments.delete(segment)
      inherited.delete(segment)
      for (const [sha256, entry] of rest) if (entry.segment === segment) rest.delete(sha256)
      void segment.remove().catch(() => undefined) // its objects have files; the next open looks again
    } else if (!segment.broken) free.push(segment)
  }

  function move(entry: Entry): Promise<void> {
    const { sha256 } = entry.place
    entry.moving ??= (async () => {
      const bytes = await readEntry(entry)
      if (here.get(sha256) !== entry) return
      if (hash('sha256', bytes) !== sha256) return // get says so
      await store(bytes, sha256)
      if (here.get(sha256) !== entry) return
      here.delete(sha256)
      rest.set(sha256, entry)
      leave(entry.segment)
    })().finally(() => {
      entry.moving = undefined
    })
    return entry.moving
  }

  const busy = (sha256: string): Promise<unknown> | undefined => coming.get(sha256) ?? here.get(sha256)?.moving

  const readEntry = ({ segment, place }: Entry, start = 0, length = place.bytes) =>
    segment.read(place.at + pageBytes + start, Math.max(0, Math.min(length, place.bytes - start)))

  async function arrive(bytes: Uint8Array, sha256: string): Promise<boolean> {
    if (free.length === 0 && !batches.current) prepare()
    const placed = await batches.add(bytes, sha256)
    if (!placed) return false
    here.set(sha256, { ...placed, use: placed.segment.use, storedAt: Date.now() })
    soon()
    return true
  }

  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const name of await readdir(folder)) await takeUp(join(folder, name))
  if (here.size > 0) soon()

  async function takeUp(path: string): Promise<void> {
    const { segment, records } = path.endsWith('.new') ? { segment: undefined, records: [] } : await reopenSegment(path)
    if (!segment || records.length === 0) {
      await segment?.close()
      await unlink(path)
      return
    }
    segment.live = records.length
    segments.add(segment)
    inherited.add(segment)
    for (const place of records) {
      if (here.has(place.sha256)) segment.live--
      else here.set(place.sha256, { segment, place, use: segment.use, storedAt: Date.now() })
    }
  }

  return {
    async put(bytes, sha256) {
      if (closed || bytes.length > largestArrival) return false
      const known = here.get(sha256)
      if (known) known.storedAt = Date.now()
      if (known) return true
      const under: Promise<boolean> = coming.get(sha256) ?? arrive(bytes, sha256).finally(() => coming.delete(sha256))
      coming.set(sha256, under)
      return under
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
    keys: () => [...here.keys()],
    async settle(sha256) {
      const one = sha256 === undefined ? undefined : here.get(sha256)
      await (one ? move(one) : sha256 === undefined && Promise.all([...here.values()].map(move)))
    },
    async erase(sha256) {
      for (let under = busy(sha256); under; under = busy(sha256)) await Promise.allSettled([under])
      const entry = here.get(sha256) ?? rest.get(sha256)
      if (!entry) return false
      const wasHere = here.delete(sha256)
      rest.delete(sha256)
      const { segment, place, use } = entry
      await batches.alone(() => eraseRecord(segment, use, place, segment.use === use ? 0 : segment.end))
      if (wasHere) leave(segment)
      return wasHere
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.allSettled([...coming.values(), making])
      await drain()
      await drain()
      if (here.size === 0) await Promise.all([...segments].map(segment => segment.remove()))
      else await Promise.all([...segments].map(segment => segment.close()))
    },
  }
}
