/** What is kept of a study until it is assessed, and for the revisions after: shared by all who assess studies. */
import type { Priority } from './topics/instances.ts'
import type { StudyAssessed } from './topics/studies.ts'

/**
 *   gathering ─▶ waiting ─▶ writing ─▶ settled
 *       ▲                                 │ a late image
 *       └─────────────────────────────────┤
 *                  waiting ◀──────────────┘ a late answer, a correction
 *
 * gathering: images come. waiting: complete, answers are still to come. writing: `assessed` is being put on the log.
 */
export type StudyPhase = 'gathering' | 'waiting' | 'writing' | 'settled'

export interface StudyStateDoc {
  /** The study's own. */
  id: string
  /** Each write is of the next one, and of exactly one writer. */
  version: number
  phase: StudyPhase
  /** When to look at it next, ms since the epoch; once settled, when that was. */
  dueAt: number
  site: string
  patient: string | null
  modality: string | null
  /** As ordered: the highest of its images. */
  priority: Priority
  firstAt: number
  /** Partition of each topic that its events come by. */
  partitions: Record<string, number>
  /** Images that it is to have, by who says so. */
  expected: Partial<Record<'modality' | 'order' | 'pacs', number>>
  /** From this many images on a rule calls it complete. */
  ruleImages: number | null
  /** Who asked for it to be complete; until it is. */
  forcedBy: string | null
  completed: Pick<StudyAssessed, 'completedBy' | 'completedAt' | 'actor' | 'expected'> | null
  /** While waiting: answers are given up then, and it is not assessed before `heldUntil`; ms since the epoch. */
  deadline: number
  heldUntil: number
  /** While waiting: with fewer answers than this some are missing. */
  enoughAnswers: number
  /** While writing: since when. */
  claimedAt: number
  /** How much of it is in the newest revision, or in the one that is being written. */
  includes: { images: number; answers: number; verdictsTo: number }
  /** The newest revision; while `writing`, the one that is being written. */
  assessed: StudyAssessed | null
}

/** An image of a study, as far as assessing it needs. */
export interface StudyImageDoc {
  /** The instance's. */
  id: string
  study: string
  series: string | null
  laterality: string | null
  /** Names of the models that are to answer. */
  models: string[]
  /** When whoever assesses read of it, ms since the epoch. */
  seenAt: number
}

/** What a model said of an image, or that it could not. */
export interface StudyAnswerDoc {
  /** The prediction's or the parked event's. */
  id: string
  study: string
  instance: string
  /** Name and version; both empty where the instance was parked. */
  model: string
  version: string
  label: string
  /** Of each label, as far as it was told. */
  probabilities: Record<string, number>
  score: number
  threshold: number | null
  quality: string[]
  /** Why there is no answer. */
  code: string | null
  at: number
}

/** The newest verdict of a person on a prediction. */
export interface StudyVerdictDoc {
  /** The feedback's. */
  id: string
  study: string
  prediction: string
  label: string | null
  verdict: 'agreed' | 'corrected' | 'unsure'
  at: number
}

export const priorities: readonly Priority[] = ['routine', 'urgent', 'stat']

export const highest = (all: Iterable<Priority>): Priority =>
  priorities[Math.max(0, ...[...all].map(one => priorities.indexOf(one)))] ?? 'routine'

/** One line of the worklist. */
export interface WorklistDoc {
  /** The study's. */
  id: string
  version: number
  site: string
  modality: string | null
  patient: string | null
  priority: Priority
  /** What its order says, which no assessment takes back; absent where none said more than routine. */
  ordered?: Priority
  /** Ascending is the order in which to read: priority, then who waits longest. See `rankOf`. */
  rank: number
  /** `ordered`: nothing is known but how urgent its order is; nobody sees it before its first image. */
  state: 'ordered' | 'gathering' | 'waiting' | 'reviewed'
  firstAt: number
  revision: number
  /** Of the newest revision: `model: label` of what was found. */
  findings: string[]
  missing: number
  expected: number | null
}

const perPriority = 1e14

/** Lower reads first. Exact below 2^53: times are below 1e14 until the year 5138. */
export const rankOf = (priority: Priority, firstAt: number): number =>
  (priorities.length - 1 - priorities.indexOf(priority)) * perPriority + firstAt
