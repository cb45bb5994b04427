/** Replays: what one asks for, what is kept of it, and which events belong to it. */
import { z } from 'zod'
import type { Instance } from './topics/instances.ts'

const time = z
  .union([
    z.int().min(0),
    z.iso.datetime({ offset: true }).transform(text => Date.parse(text)),
    z.iso.date().transform(text => Date.parse(text)),
  ])
  .describe('ISO 8601 with a zone, or ms since the epoch')
const some = (what: string) => z.array(z.string().min(1).max(128)).max(100).default([]).describe(`${what}; empty: any`)

export const replayRequest = z
  .strictObject({
    model: z
      .string()
      .regex(/^[a-z][a-z0-9-]*@[A-Za-z0-9][A-Za-z0-9._-]*$/, 'name@version')
      .describe('name@version of a loaded model'),
    from: time,
    to: time.describe('not included; ISO 8601 with a zone, or ms since the epoch'),
    sites: some('sites'),
    studies: some('study ids'),
    modalities: some('modalities'),
    ratePerSecond: z
      .number()
      .positive()
      .max(100_000)
      .nullable()
      .default(null)
      .describe('most images a second; null: as many as live work leaves'),
  })
  .refine(({ from, to }) => from < to, { message: 'from must be before to', path: ['from'] })

export type ReplayRequest = z.infer<typeof replayRequest>

/** Offsets of one partition of imaging.instances.v1: `from` is included, `to` is not. */
export interface ReplayRange {
  partition: number
  from: number
  to: number
}

/** What was asked for. Written by the gateway alone; `phase` is a hint that whoever sees it wrong mends. */
export interface ReplayDoc extends Omit<ReplayRequest, 'model'> {
  id: string
  model: { name: string; version: string }
  /** Fixed when it was asked for, so that going on after a crash means the same events. */
  ranges: ReplayRange[]
  wanted: 'run' | 'pause' | 'cancel'
  phase: 'open' | 'ended'
  createdAt: number
}

export const replayStates = ['running', 'paused', 'cancelled', 'done', 'failed'] as const
export type ReplayState = (typeof replayStates)[number]

/** Events by what became of them. They add up to `read`. */
export interface ReplayCounts {
  read: number
  /** Outside of the time or the filters. */
  outside: number
  /** The record does not decode. */
  unreadable: number
  /** The model does not take it. */
  refused: number
  predicted: number
  /** The object was erased since. */
  gone: number
  failed: number
}

/**
 * One term of a replay: who runs it, and how far it is. Inserted by whoever takes over, so that of several exactly one
 * has it; then written by that one alone. The newest epoch counts.
 */
export interface ReplayRunDoc {
  id: string
  replay: string
  /** 1, 2, 3 … */
  epoch: number
  /** null: let go of, anyone may take it. */
  owner: string | null
  /** Grows with each sign of life. */
  beat: number
  state: ReplayState
  /** Offset of the next event of each partition, and what became of all before it: one document, so they agree. */
  next: { partition: number; offset: number }[]
  counts: ReplayCounts
  /** Errors by their code, of `failed` and `gone`. */
  codes: Record<string, number>
  /** Time that it ran, over all terms, ms. */
  activeMs: number
  /** It holds back now, since this stage of live work is behind. */
  givesWayTo: string | null
  startedAt: number
  updatedAt: number
  /** Why it failed. */
  error: { code: string; message: string } | null
}

/** An image whose object was erased since. */
export interface Gone {
  instance: string
  study: string
  site: string
  modality: string | null
  /** Key of the object that is not there any more. */
  object: string
  receivedAt: number
}

/** One that a replay met: one document, however often it is met. */
export interface ReplayGoneDoc extends Gone {
  id: string
  replay: string
}

export const goneFrom = ({ id, study, site, modality, object, receivedAt }: Instance): Gone => ({
  instance: id,
  ...{ study, site, modality, receivedAt },
  object: object.key,
})

export const noCounts: Readonly<ReplayCounts> = {
  read: 0,
  outside: 0,
  unreadable: 0,
  refused: 0,
  predicted: 0,
  gone: 0,
  failed: 0,
}

export const isEnded = (state: ReplayState): state is 'cancelled' | 'done' | 'failed' =>
  state === 'done' || state === 'cancelled' || state === 'failed'

/** Whether an event is of the replay: by the time of its record, and by what it says. */
export function isWanted(
  { from, to, sites, studies, modalities }: Pick<ReplayDoc, 'from' | 'to' | 'sites' | 'studies' | 'modalities'>,
  instance: Pick<Instance, 'site' | 'study' | 'modality'>,
  timestamp: number,
): boolean {
  const among = (list: readonly string[], value: string | null) =>
    list.length === 0 || (value !== null && list.includes(value))
  const inTime = timestamp >= from && timestamp < to
  return inTime && among(sites, instance.site) && among(studies, instance.study) && among(modalities, instance.modality)
}

/** As if its sender had asked for the model whatever its version: another version is what a replay is for. */
export const withoutVersion = (instance: Instance): Instance => ({
  ...instance,
  requested: instance.requested.map(wish => wish.replace(/@.*/s, '')),
})
