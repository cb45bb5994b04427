/** What goes over the sockets, both ways. The page takes its types from here. */
import { z } from 'zod'
import type { PartHealth } from '../../monitoring/health.ts'
import type {
  Instance,
  NotificationStep,
  Parked,
  Prediction,
  Report,
  StudyAssessed,
  StudyRequest,
} from '../../schemas/topics.ts'

export interface At {
  topic: string
  partition: number
  offset: number
}

export interface InstanceMessage {
  event: Instance
  at: At
  /** Names of the models that take it, and of those that do not. */
  routes: { accepted: string[]; refused: string[] }
}
export interface PredictionMessage {
  event: Prediction
  at: At
}
export interface ReportMessage {
  event: Report
  at: At
}
export interface StudyMessage {
  event: StudyAssessed
  at: At
}
export interface RequestMessage {
  event: StudyRequest
  at: At
}
export interface NotificationMessage {
  event: NotificationStep
  at: At
}
export interface ParkedMessage {
  event: Omit<Parked, 'value'> & { title: string; remedy: string }
  at: At
}

export interface Pulse {
  /** ms since the epoch */
  at: number
  /** A second, over the last five. */
  rates: { received: number; predictions: number }
  /** Events not committed, by stage. */
  lag: Record<string, number>
  parked: number
  /** Id: one that is parked while another is settled leaves the count as it was. */
  newestParked: string | null
  health: { ok: boolean; failing: Pick<PartHealth, 'part' | 'code' | 'reason'>[] }
  sockets: number
}

export interface Bye {
  reason: 'slow' | 'stopping'
}

export interface ServerToClient {
  instance: (message: InstanceMessage) => void
  prediction: (message: PredictionMessage) => void
  report: (message: ReportMessage) => void
  study: (message: StudyMessage) => void
  request: (message: RequestMessage) => void
  /** `what` is `alert` for what is told over the page, and else a step of a notification. */
  notification: (message: NotificationMessage) => void
  parked: (message: ParkedMessage) => void
  pulse: (pulse: Pulse) => void
  bye: (bye: Bye) => void
}

/** Rooms by themselves, and those of one thing: `study:ID`. */
export const rooms = { alone: ['all', 'notifications'], of: ['study', 'model', 'site', 'replay', 'person'] } as const
const room = new RegExp(`^(?:${rooms.alone.join('|')}|(?:${rooms.of.join('|')}):[A-Za-z0-9._-]{1,128})$`)

export const joinRequest = z.strictObject({
  rooms: z.array(z.string().regex(room)).max(100),
  after: z
    .record(z.string().regex(/^[a-z0-9.]{1,64}:\d{1,5}$/), z.int().min(-1))
    .default({})
    .describe('offset of the last record seen, by "topic:partition"'),
  recent: z.int().min(0).max(200).default(0).describe('records to go back in partitions without `after`'),
})
export type JoinRequest = z.infer<typeof joinRequest>

export type JoinAnswer =
  | { ok: true; rooms: string[]; at: Record<string, number>; replayed: number; truncated: boolean }
  | { ok: false; code: string; detail: string }

export interface ClientToServer {
  /** Parsed before use: a client may send anything. */
  join: (request: unknown, answer: unknown) => void
}
