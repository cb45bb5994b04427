/**
 * Who does a job that outlives a process. A term is a document whose id holds the job and an epoch: of all who insert the next
 * one, the store lets exactly one. Its holder shows that it lives by a beat that grows; others take over when it has not
 * for as long as a lease, by their own clock, so that no two clocks are compared. A holder that could not write its beat for
 * two thirds of that stops by itself, before anyone may have taken over.
 */
import type { Clock } from '../monitoring/clock.ts'

export interface TermDoc {
  id: string
  /** 1, 2, 3 … */
  epoch: number
  /** null: let go of, anyone may take it. */
  owner: string | null
  /** Grows with each sign of life. */
  beat: number
  updatedAt: number
}

/** Where the terms of one job are kept. */
export interface TermStore<D extends TermDoc> {
  /** That of the highest epoch. */
  newest(): Promise<D | undefined>
  /** True for exactly one caller. */
  insert(doc: D): Promise<boolean>
  upsert(doc: D): Promise<void>
}

export interface Lease {
  clock: Clock
  leaseMs: number
}

export class Term<D extends TermDoc> {
  readonly #store: TermStore<D>
  readonly #lease: Lease
  #doc: D
  /** When the last write that succeeded was begun. */
  #writtenAt: number
  #lost = false

  constructor(store: TermStore<D>, lease: Lease, doc: D, writtenAt: number) {
    this.#store = store
    this.#lease = lease
    this.#doc = doc
    this.#writtenAt = writtenAt
  }

  get doc(): Readonly<D> {
    return this.#doc
  }

  /** Nobody else can have it now. */
  get held(): boolean {
    const { clock, leaseMs } = this.#lease
    return !this.#lost && clock.now() - this.#writtenAt < (leaseMs * 2) / 3
  }

  /** Writes how far it is, which is also the sign of life. @returns false when the term is not ours any more */
  async save(progress: Partial<Omit<D, keyof TermDoc>> & { owner?: string | null }): Promise<boolean> {
    const { clock } = this.#lease
    const begun = clock.now()
    const newest = await this.#store.newest()
    if (newest && newest.epoch > this.#doc.epoch) this.#lost = true
    if (!this.held) return false
    const doc = { ...this.#doc, ...progress, beat: this.#doc.beat + 1, updatedAt: clock.now() }
    await this.#store.upsert(doc)
    this.#doc = doc
    this.#writtenAt = begun
    return this.held
  }
}

/** Begins a term with a document of the next epoch. @returns undefined when someone else was first */
export async function beginTerm<D extends TermDoc>(
  store: TermStore<D>,
  lease: Lease,
  doc: D,
): Promise<Term<D> | undefined> {
  const now = lease.clock.now()
  return (await store.insert(doc)) ? new Term(store, lease, doc, now) : undefined
}

/** Remembers when each term was last seen to live. */
export class Watch {
  readonly #seen = new Map<string, { sign: string; at: number }>()
  readonly #lease: Lease

  constructor(lease: Lease) {
    this.#lease = lease
  }

  /** Whether the job's newest term may be taken over: let go of, or without a sign of life for as long as a lease. */
  isFree(job: string, { epoch, beat, owner }: TermDoc): boolean {
    if (owner === null) return true
    const sign = `${epoch} ${beat}`
    const now = this.#lease.clock.now()
    const seen = this.#seen.get(job)
    if (seen?.sign === sign) return now - seen.at >= this.#lease.leaseMs
    this.#seen.set(job, { sign, at: now })
    return false
  }

  forget(job: string): void {
    this.#seen.delete(job)
  }
}
