/**
 * A stage is a declared value: what it is called, reads, writes and needs, its settings, and how it is opened. A topic or
 * port that is not declared is a compile error. Only the runner (runner.ts) feeds it.
 */
import type { z } from 'zod'
import type { EventOf, Topic } from '../schemas/topics.ts'
import type { Position } from './log.ts'
import type { Platform, PortName, Ports } from './ports.ts'

export type Emit<W extends Topic> = <T extends W>(topic: T, event: EventOf<T>) => void

/** Appends, durable when it resolves. For producers, which answer their sender after that. */
export type Publish<W extends Topic> = <T extends W>(topic: T, ...events: EventOf<T>[]) => Promise<Position[]>

/** An event as it goes on the log, kept by something else until it is there (sealed.ts). */
export interface Sealed {
  bytes: Uint8Array
  /** To be called when it is durable: it counts as published. */
  kept(): void
}

export type Seal<W extends Topic> = <T extends W>(topic: T, event: EventOf<T>) => Promise<Sealed>

export interface HandleContext<W extends Topic> {
  /** Aborted when the stage must stop now, or its partition is taken away. */
  readonly signal: AbortSignal
  /**
   * Aborted when the partition is let go of, or the stage stops: what is under way may finish. What waits for its turn may throw
   * the reason instead; the event is left for its next reader, who need not wait for it.
   */
  readonly leaving: AbortSignal
  /** Puts an event on the log when the handler has returned; what a failed attempt emitted is dropped. */
  readonly emit: Emit<W>
  readonly at: Position
  /** 1 for the first. */
  readonly attempt: number
  readonly headers: Readonly<Record<string, string>>
}

export interface OpenContext<W extends Topic, N extends PortName, C> extends Platform {
  readonly config: C
  readonly deps: Pick<Ports, N>
  readonly publish: Publish<W>
  /** In place of `publish`, for what an object store keeps beside the bytes and delivers by itself (ObjectStore.putNoted). */
  readonly seal: Seal<W>
  /** Aborted when the stage must stop. */
  readonly signal: AbortSignal
}

/** An event with the topic that it was read from. */
export type Read<R extends Topic> = {
  [K in R['name']]: { topic: K; event: EventOf<Extract<R, { name: K }>> }
}[R['name']]

export interface Handed<R extends Topic, W extends Topic> {
  readonly read: Read<R>
  readonly context: HandleContext<W>
}

/** Events that may wait while other stages of the process have work in hand: what nobody waits for gives way to what somebody does. */
export interface GivesWay<R extends Topic> {
  /** Any order must be right for their events. */
  readonly topics: readonly R[]
  /** Names of the stages that come first. */
  readonly to: readonly string[]
  /** Age beyond which an event waits no longer, ms. */
  readonly longestMs: number
  /** Of them at once: what comes first may come again in the next moment. */
  readonly places: number
}

export interface OpenStage<R extends Topic, W extends Topic> {
  /** Called for each record of the topics that the stage reads. Returning means done. */
  handle?(read: Read<R>, context: HandleContext<W>): Promise<void> | void
  /**
   * Several of one key that waited, in their order, in place of a call of `handle` for each. Returning means that all are done;
   * where it throws, `handle` is given each alone.
   */
  handleMany?(these: readonly Handed<R, W>[]): Promise<void>
  /** Takes nothing new; resolves when what was begun is answered, and told: afterwards nothing can be published. */
  drain?(): Promise<void>
  /** Lets go of everything. */
  close?(): Promise<void> | void
}

export interface Stage<R extends Topic = Topic, W extends Topic = Topic, N extends PortName = PortName, C = unknown> {
  readonly name: string
  readonly role: 'producer' | 'processor' | 'consumer' | 'gateway'
  readonly summary: string
  readonly reads: readonly R[]
  readonly writes: readonly W[]
  readonly needs: readonly N[]
  readonly config: z.ZodType<C>
  /** What of its settings does not go together with those of other stages, by their names: a line for each problem. */
  conflicts?(config: C, sections: Readonly<Record<string, unknown>>): string[]
  /** Names of settings, besides those that say so themselves (password, token …), that are not shown to people. */
  readonly secretSettings?: readonly string[]
  /** `key`: one event of a key at a time, in order. `none`: any order, for handlers whose results do not depend on it. */
  readonly order: 'key' | 'none'
  /** Topics of which `handleMany` takes those that wait: what each needs a write for, all may share one. */
  readonly together?: readonly R[]
  /** Events in flight at once, from the settings. */
  concurrency?(config: C): number
  givesWay?(config: C): GivesWay<R>
  open(context: OpenContext<W, N, C>): Promise<OpenStage<R, W>>
}

/** A stage of any shape, as the runner and `compile` hold it. */
export interface AnyStage extends Omit<Stage, 'open' | 'concurrency' | 'givesWay' | 'config' | 'conflicts'> {
  readonly config: z.ZodType
  concurrency?(config: unknown): number
  givesWay?(config: unknown): GivesWay<Topic>
  conflicts?(config: unknown, sections: Readonly<Record<string, unknown>>): string[]
  open(context: unknown): Promise<OpenStage<Topic, Topic>>
}

/** Checks the declaration at compile time and hands it on as a value. */
export function defineStage<
  const R extends Topic = never,
  const W extends Topic = never,
  const N extends PortName = never,
  C = unknown,
>(stage: Omit<Stage<R, W, N, C>, 'order'> & { order?: 'key' | 'none' }): AnyStage {
  // The one place where the types of a single stage are forgotten: the runner passes each stage its own config and deps.
  return { order: 'key', ...stage } as unknown as AnyStage
}
