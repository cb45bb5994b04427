/** When a study is complete: the moves of its state. Pure; see schemas/study.ts for the phases. */
import { highest, type StudyStateDoc } from '../../schemas/study.ts'
import type { Instance, StudyAssessed, StudyRequest } from '../../schemas/topics.ts'
import { type Config, idleMsOf } from './settings.ts'

export type State = StudyStateDoc

/** A request may come before the first image: its topic is another. Then only the site is known. */
export function freshState(study: string, now: number, config: Config): State {
  return {
    id: study,
    version: 1,
    phase: 'gathering',
    dueAt: now + idleMsOf(config, null),
    site: '',
    patient: null,
    modality: null,
    priority: 'routine',
    firstAt: now,
    partitions: {},
    expected: {},
    ruleImages: null,
    forcedBy: null,
    completed: null,
    deadline: 0,
    heldUntil: 0,
    enoughAnswers: 0,
    claimedAt: 0,
    includes: { images: 0, answers: 0, verdictsTo: 0 },
    assessed: null,
  }
}

/** What an image tells of its study. Told twice it changes nothing. */
export function withImage(state: State, instance: Instance, now: number, config: Config): State {
  const { site, patient, modality, priority, receivedAt, studyInstances, source } = instance
  const first = state.site === ''
  const known = state.modality ?? modality
  const rule = config.rules.find(
    ({ sites, sources, peers, modalities }) =>
      among(sites, site) && among(sources, source.kind) && among(peers, source.peer) && among(modalities, known),
  )
  return {
    ...state,
    site,
    patient: state.patient ?? patient,
    modality: known,
    priority: highest([state.priority, priority]),
    firstAt: first ? receivedAt : Math.min(state.firstAt, receivedAt),
    dueAt:
      state.phase === 'gathering' && (first || known !== state.modality) ? now + idleMsOf(config, known) : state.dueAt,
    expected:
      studyInstances === null
        ? state.expected
        : { ...state.expected, modality: Math.max(studyInstances, state.expected.modality ?? 0) },
    ruleImages: state.ruleImages ?? rule?.images ?? null,
  }
}

const among = (list: readonly string[], value: string | null) =>
  list.length === 0 || (value !== null && list.includes(value))

export function withRequest(state: State, { what, images, source, priority, actor }: StudyRequest, now: number): State {
  if (what === 'complete' && state.phase === 'gathering') return { ...state, forcedBy: actor }
  // Complete already: then what is meant is that its answers need not be waited for.
  if (what === 'complete' && state.phase === 'waiting') return { ...state, deadline: now, dueAt: now, heldUntil: 0 }
  if (what !== 'expect') return state
  const by = source === 'pacs' || source === 'modality' ? source : 'order'
  return {
    ...state,
    expected: images !== null && images > 0 ? { ...state.expected, [by]: images } : state.expected,
    priority: highest([state.priority, priority ?? 'routine']),
  }
}

/**
 * What the log says was said of it. Known already, but where the documents are not those that were written with it: a log
 * that was moved, documents that were lost or came back from a backup. Then it is not said again.
 */
export function withAssessment(state: State, event: StudyAssessed, now: number): State {
  if ((state.assessed?.revision ?? 0) >= event.revision) return state
  const { site, patient, modality, completedBy, completedAt, actor, expected } = event
  return {
    ...state,
    phase: 'settled',
    dueAt: now,
    site,
    patient: patient ?? state.patient,
    modality: modality ?? state.modality,
    firstAt: event.firstAt ?? state.firstAt,
    forcedBy: null,
    completed: { completedBy, completedAt, actor, expected },
    // Answers and verdicts are looked at again: what says nothing new makes no revision.
    includes: { images: event.images.length, answers: 0, verdictsTo: 0 },
    assessed: event,
  }
}

type Completed = NonNullable<State['completed']>
type Why = Pick<Completed, 'completedBy' | 'actor' | 'expected'>

/** Who counts: the PACS has the images, the modality made them, an order only says what was meant to be made. */
export function expectedOf({ expected }: State): StudyAssessed['expected'] {
  for (const source of ['pacs', 'modality', 'order'] as const) {
    const images = expected[source]
    if (images !== undefined) return { images, source }
  }
  return null
}

/** Whether images may be counted at all: it costs a query. */
export const counts = (state: State): boolean =>
  state.forcedBy !== null || state.ruleImages !== null || expectedOf(state) !== null

/**
 * Why a study of so many images is complete, other than by time; undefined while it is not. A number that an earlier
 * revision had reached says nothing of what comes late.
 */
export function whyComplete(state: State, images: number): Why | undefined {
  const expected = expectedOf(state)
  if (images === 0) return undefined
  if (state.forcedBy !== null) return { completedBy: 'forced', actor: state.forcedBy, expected }
  const reached = (wanted: number) => images >= wanted && state.includes.images < wanted
  if (expected && reached(expected.images)) return { completedBy: 'expected_count', actor: null, expected }
  if (state.ruleImages !== null && reached(state.ruleImages)) return { completedBy: 'rule', actor: null, expected }
  return undefined
}

/** No more images are waited for; answers are. */
export function complete(state: State, why: Why, now: number, config: Config): State {
  const deadline = now + config.answersMs
  return {
    ...state,
    phase: 'waiting',
    completed: { ...why, completedAt: now },
    ...{ deadline, dueAt: deadline, heldUntil: 0, enoughAnswers: 0, forcedBy: null },
  }
}

/** Images came after the last revision. */
export const reopen = (state: State, now: number, config: Config): State => ({
  ...state,
  phase: 'gathering',
  completed: null,
  dueAt: now + idleMsOf(config, state.modality),
})

/** Answers or verdicts came after the last revision: those that follow soon are of the same revision. */
export const revise = (state: State, now: number, config: Config): State => ({
  ...state,
  phase: 'waiting',
  deadline: now + Math.max(config.answersMs, config.lateMs),
  heldUntil: now + config.lateMs,
  dueAt: now + config.lateMs,
  enoughAnswers: 0,
})
