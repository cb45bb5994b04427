/**
 * Who runs a replay. A term is a document whose id holds the replay and an epoch: of all who insert the next one, the
 * store lets exactly one. Its holder shows that it lives by a beat that grows; others take over when it has not for as
 * long as a lease, by their own clock, so that no two clocks are compared. A holder that could not write its beat for two
 * thirds of that stops by itself, before anyone may have taken over.
 */
import type { Clock } from '../../monitoring/clock.ts'
import { noCounts, type ReplayDoc, type ReplayRunDoc } from '../../schemas/replay.ts'
import type { DocumentStore } from '../../storage/documents.ts'

export const runId = (replay: string, epoch: number): string => `${replay}:${epoch}`

/** The newest term of a replay. */
export async function newestTerm(documents: DocumentStore, replay: string): Promise<ReplayRunDoc | undefined> {
  const { items } = await documents.find('replayRuns', { where: { replay }, order: 'newest', limit: 1 })
  return items[0]
}

export interface TermOptions {
  documents: DocumentStore
  clock: Clock
  owner: string
  leaseMs: number
}

export type Progress = Partial<
  Pick<ReplayRunDoc, 'state' | 'owner' | 'next' | 'counts' | 'codes' | 'activeMs' | 'givesWayTo' | 'error'>
>

export class Term {
  readonly #options: TermOptions
  #doc: ReplayRunDoc
  /** When the last write that succeeded was begun. */
  #writtenAt: number
  #lost = false

  constructor(options: TermOptions, doc: ReplayRunDoc, writtenAt: number) {
    this.#options = options
    this.#doc = doc
    this.#writtenAt = writtenAt
  }

  get doc(): Readonly<ReplayRunDoc> {
    return this.#doc
  }

  /** Nobody else can have it now. */
  get held(): boolean {
    const { clock, leaseMs } = this.#options
    return !this.#lost && clock.now() - this.#writtenAt < (leaseMs * 2) / 3
  }

  /** Writes how far it is, which is also the sign of life. @returns false when the term is not ours any more */
  async save(progress: Progress): Promise<boolean> {
    const { documents, clock } = this.#options
    const begun = clock.now()
    const newest = await newestTerm(documents, this.#doc.replay)
    if (newest && newest.epoch > this.#doc.epoch) this.#lost = true
    if (!this.held) return false
    const doc = { ...this.#doc, ...progress, beat: this.#doc.beat + 1, updatedAt: clock.now() }
    await documents.upsert('replayRuns', [doc])
    this.#doc = doc
    this.#writtenAt = begun
    return this.held
  }
}

/** Begins the term after `last`. @returns undefined when someone else was first */
export async function claim(
  options: TermOptions,
  replay: ReplayDoc,
  last: ReplayRunDoc | undefined,
  as: Progress = {},
): Promise<Term | undefined> {
  const { documents, clock, owner } = options
  const epoch = (last?.epoch ?? 0) + 1
  const now = clock.now()
  const doc: ReplayRunDoc = {
    next: last?.next ?? replay.ranges.map(({ partition, from }) => ({ partition, offset: from })),
    counts: last?.counts ?? { ...noCounts },
    codes: last?.codes ?? {},
    activeMs: last?.activeMs ?? 0,
    startedAt: last?.startedAt ?? now,
    id: runId(replay.id, epoch),
    replay: replay.id,
    epoch,
    owner,
    beat: 0,
    state: 'running',
    givesWayTo: null,
    updatedAt: now,
    error: null,
    ...as,
  }
  return (await documents.insert('replayRuns', doc)) ? new Term(options, doc, now) : undefined
}

/** Remembers when each term was last seen to live. */
export class Watch {
  readonly #seen = new Map<string, { sign: string; at: number }>()
  readonly #clock: Clock
  readonly #leaseMs: number

  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock
    this.#leaseMs = leaseMs
  }

  /** Whether a term may be taken over: let go of, or without a sign of life for as long as a lease. */
  isFree({ replay, epoch, beat, owner }: ReplayRunDoc): boolean {
    if (owner === null) return true
    const sign = `${epoch} ${beat}`
    const now = this.#clock.now()
    const seen = this.#seen.get(replay)
    if (seen?.sign === sign) return now - seen.at >= this.#leaseMs
    this.#seen.set(replay, { sign, at: now })
    return false
  }

  forget(replay: string): void {
    this.#seen.delete(replay)
  }
}
