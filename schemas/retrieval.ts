/** Retrievals: what one asks a peer for, and what is kept of it. What identifies a patient is kept sealed. */
import { z } from 'zod'

const uid = z
  .string()
  .max(64)
  .regex(/^[0-9]+(\.[0-9]+)+$/, 'not a UID')
const short = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\\*?\p{Cc}]+$/u, 'no wildcards: name what is wanted')
const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'HH:MM')
const date = z.iso.date()

export const retrievalRequest = z
  .strictObject({
    peer: z.string().min(1).max(64).describe('name of a peer in the settings'),
    studies: z.array(uid).max(1_000).default([]).describe('Study Instance UIDs'),
    accessionNumbers: z.array(short).max(1_000).default([]),
    priors: z
      .strictObject({
        patientId: short,
        issuer: short.nullable().default(null),
        before: date.nullable().default(null).describe('studies before this day, YYYY-MM-DD; null: all'),
        modality: z
          .string()
          .regex(/^[A-Z]{2,16}$/)
          .nullable()
          .default(null),
        most: z.int().min(1).max(1_000).default(10).describe('the newest so many'),
      })
      .nullable()
      .default(null)
      .describe('earlier studies of a patient'),
    how: z
      .enum(['auto', 'get', 'move', 'dicomweb'])
      .default('auto')
      .describe('auto: DICOMweb where the peer has it and no AE title, else C-GET, else C-MOVE to ourselves'),
    ratePerSecond: z.number().positive().max(10_000).nullable().default(null).describe('most images a second'),
    hours: z
      .strictObject({ from: time, to: time })
      .nullable()
      .default(null)
      .describe(
        'works between these times of day alone, by the clock of the machine; over midnight where from is later',
      ),
    priority: z.enum(['routine', 'urgent', 'stat']).default('routine'),
  })
  .refine(
    ({ studies, accessionNumbers, priors }) => studies.length + accessionNumbers.length > 0 || priors !== null,
    'name studies, accessionNumbers or priors',
  )

export type RetrievalRequest = z.infer<typeof retrievalRequest>

/** What identifies someone: sealed as JSON, with the id of the retrieval as its context. */
export type RetrievalSecret = Pick<RetrievalRequest, 'accessionNumbers' | 'priors'>

/** What was asked for. Written by the gateway alone; `phase` is a hint that whoever sees it wrong mends. */
export interface RetrievalDoc extends Omit<RetrievalRequest, 'accessionNumbers' | 'priors'> {
  id: string
  sealed: string
  /** How many accession numbers, and whether priors of a patient. */
  asked: { accessionNumbers: number; priors: boolean }
  wanted: 'run' | 'pause' | 'cancel'
  phase: 'open' | 'ended'
  createdAt: number
}

export const retrievalStates = ['running', 'waiting', 'paused', 'cancelled', 'done', 'failed'] as const
export type RetrievalState = (typeof retrievalStates)[number]

export interface RetrievedStudy {
  uid: string
  state: 'waiting' | 'done' | 'failed'
  /** Instances that the peer has of it; null: not asked yet. */
  expected: number | null
  /** Of those, here. */
  here: number
  /** Why it failed. */
  code: string | null
}

/** One term of a retrieval: who works on it, and how far it is (storage/terms.ts). The newest epoch counts. */
export interface RetrievalRunDoc {
  id: string
  retrieval: string
  epoch: number
  owner: string | null
  beat: number
  state: RetrievalState
  /** Null until the peer has said which studies are meant. */
  studies: RetrievedStudy[] | null
  /** Accession numbers that the peer knows nothing of: how many. */
  unknown: number
  /** Images that came, over all terms. */
  received: number
  startedAt: number
  updatedAt: number
  error: { code: string; message: string } | null
}

export const isRetrievalEnded = (state: RetrievalState): boolean =>
  state === 'done' || state === 'cancelled' || state === 'failed'

/** ms until the hours begin; 0 within them. By the clock of this machine. */
export function msUntilOpen(hours: RetrievalRequest['hours'], now: number): number {
  if (!hours) return 0
  const at = new Date(now)
  const minute = at.getHours() * 60 + at.getMinutes()
  const [from, to] = [minutesOf(hours.from), minutesOf(hours.to)]
  const open = from <= to ? minute >= from && minute < to : minute >= from || minute < to
  if (open) return 0
  const wait = (from - minute + 1_440) % 1_440
  return wait * 60_000 - at.getSeconds() * 1_000 - at.getMilliseconds()
}

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
