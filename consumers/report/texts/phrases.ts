/** What a study's content comes to in sentences, the same in every format. */

import { scoredLabel } from '../../../schemas/prediction.ts'
import type { Prediction, StudyFinding } from '../../../schemas/topics.ts'
import type { SaidOfImage, StudyContent } from '../study/format.ts'
import type { Speech, TextKey } from './texts.ts'

/** Lists in a sentence name so many; the rest is counted. */
const mostNamed = 12

/** The first ones, and how many more there are. */
export function named(speech: Speech, items: readonly string[], most = mostNamed): string[] {
  if (items.length <= most) return [...items]
  const rest = items.length - most + 1
  return [...items.slice(0, most - 1), speech.count('andMore', rest)]
}

/** Side or series that a finding is of; null where it is of the whole study. */
export function groupWords(speech: Speech, group: string | null): string | null {
  if (group === null) return null
  const sides: Readonly<Record<string, TextKey>> = { L: 'left', R: 'right', B: 'both', U: 'unpaired' }
  const side = Object.hasOwn(sides, group) ? sides[group] : undefined
  return side ? speech.say(side) : speech.say('ofSeries', { series: group })
}

/** `Pneumonia (left)` */
export function subjectOf(speech: Speech, { label, group }: Pick<StudyFinding, 'label' | 'group'>): string {
  const words = groupWords(speech, group)
  return words === null ? label : `${label} (${words})`
}

export const findingTitle = (speech: Speech, finding: Pick<StudyFinding, 'label' | 'group' | 'present'>): string =>
  speech.say(finding.present ? 'finding' : 'findingAbsent', { label: subjectOf(speech, finding) })

export function scoreSentence(speech: Speech, score: number, threshold: number | null): string {
  if (threshold === null) return speech.say('scoreAlone', { score: speech.apart(score, score)[0] })
  const [scored, limit] = speech.apart(score, threshold)
  return speech.say(score >= threshold ? 'scoreReaches' : 'scoreBelow', { score: scored, threshold: limit })
}

/** What one image's answer comes to: the score that it rests on, or how probable it is where there is no threshold. */
export function resultSentence(speech: Speech, prediction: Prediction): string {
  const { threshold, score, label, probabilities, confidence } = prediction
  if (threshold === null) {
    const values = { label, probability: speech.percent(confidence) }
    return speech.count('mostProbable', Object.keys(probabilities).length, values)
  }
  const [scored, limit] = speech.apart(score, threshold)
  const values = { label: scoredLabel(prediction), score: scored, threshold: limit }
  return speech.say(score >= threshold ? 'scoreOfReaches' : 'scoreOfBelow', values)
}

const rules: Readonly<Record<string, TextKey>> = { any: 'byAny', max: 'byMax', mean: 'byMean', count: 'byCount' }

export function ruleWords(speech: Speech, rule: string): string | null {
  const key = Object.hasOwn(rules, rule) ? rules[rule] : undefined
  return key ? speech.say(key) : null
}

const flags: Readonly<Record<string, TextKey>> = {
  'near-threshold': 'nearThreshold',
  uncertain: 'uncertainAnswer',
  'one-frame-of-many': 'oneFrameOfMany',
  'no-explanation': 'noExplanation',
}

/** A flag that is not known is told as it is. */
export function flagWords(speech: Speech, flag: string): string {
  const key = Object.hasOwn(flags, flag) ? flags[flag] : undefined
  return key ? speech.say(key) : flag
}

/** `Complete: no further image came` */
export const item = (speech: Speech, key: TextKey, value: string): string =>
  speech.say('item', { label: speech.say(key), value })

/** What there is to say of a finding beside its title: score, images, quality, corrections. */
export function findingSentences(speech: Speech, finding: StudyFinding): string[] {
  const { score, threshold, positive, analysed, corrected, quality, rule } = finding
  const how = ruleWords(speech, rule)
  const images = speech.count('imagesSay', analysed, { positive: speech.decimals(positive, 0) })
  return [
    scoreSentence(speech, score, rule === 'count' ? null : threshold),
    `${images}${how === null ? '' : ` (${how})`}.`,
    ...(corrected > 0 ? [speech.count('personCorrected', corrected)] : []),
    ...quality.map(flag => `${item(speech, 'quality', flagWords(speech, flag))}.`),
  ]
}

/** One or two sentences: what was found, what was looked for and not found. */
export function conclusion(speech: Speech, findings: readonly StudyFinding[]): string[] {
  const list = (present: boolean) =>
    speech.list(
      named(
        speech,
        findings.filter(one => one.present === present).map(one => subjectOf(speech, one)),
      ),
    )
  const [found, absent] = [list(true), list(false)]
  if (findings.length === 0) return [speech.say('nothingLookedFor')]
  return [
    ...(found === '' ? [] : [speech.say('found', { list: found })]),
    ...(absent === '' ? [] : [speech.say('notFound', { list: absent })]),
  ]
}

/** Whether this is a first version, and of what sort a later one is. */
export type Standing = 'preliminary' | 'amended' | 'corrected'

/**
 * Nobody has verified what software says: a first version is preliminary. A later one says that it replaces what was told
 * before, and that people corrected what models had said where they did.
 */
export function standingOf({ assessed, predecessor }: Pick<StudyContent, 'assessed' | 'predecessor'>): Standing {
  if (predecessor === null) return 'preliminary'
  return assessed.findings.some(({ corrected }) => corrected > 0) ? 'corrected' : 'amended'
}

export const standingWords = (speech: Speech, { assessed, predecessor }: StudyContent): string =>
  predecessor === null
    ? speech.say('preliminary')
    : speech.say('revised', { revision: assessed.revision, before: predecessor.revision })

/** `6 images in 2 series` */
export const coversWords = (speech: Speech, images: number, series: number): string =>
  speech.count('covers', images, { series: speech.count('seriesCount', series) })

/** Why the study counts as complete. */
export function completeWords(speech: Speech, { assessed }: Pick<StudyContent, 'assessed'>): string {
  const { completedBy, expected, instances, revision } = assessed
  const keys = {
    idle: 'completeIdle',
    expected_count: 'completeExpected',
    forced: 'completeForced',
    rule: 'completeRule',
  } as const
  const complete = speech.say(keys[completedBy], { images: expected?.images ?? instances })
  // An archive that has the reports of an earlier revision counts them too: then its number says nothing.
  const fewer = expected && instances < expected.images && (revision === 1 || expected.source !== 'pacs')
  return fewer ? speech.say('completeFewer', { complete, images: instances, expected: expected.images }) : complete
}

/** Answers that did not come, one line for each model and reason. */
export function missingLines(speech: Speech, { assessed, images }: StudyContent): string[] {
  const numbers = new Map(images.map(({ id }, i) => [id, i + 1]))
  const groups = Map.groupBy(assessed.missing, ({ model, code }) => JSON.stringify([model, code]))
  return [...groups.values()].flatMap(answers => {
    const [first] = answers
    if (!first) return []
    const model = first.model === '' ? speech.say('model') : first.model
    const reason = first.code ?? speech.say('notInTime')
    if (answers.length === images.length && images.length > 1) return [speech.say('missingEvery', { model, reason })]
    const of = answers.flatMap(({ instance }) => numbers.get(instance) ?? []).sort((a, b) => a - b)
    const image = speech.list(named(speech, of.map(String)))
    return [speech.say('missingAnswer', { model, reason, image })]
  })
}

/** Against the revision before; none for a first one. */
export function changeLines(speech: Speech, { assessed: { changes } }: Pick<StudyContent, 'assessed'>): string[] {
  if (changes === null) return []
  const lines = [
    ...(changes.images.length > 0 ? [speech.count('imagesCame', changes.images.length)] : []),
    ...(changes.series.length > 0 ? [speech.count('seriesCame', changes.series.length)] : []),
    ...changes.findings.map(change => {
      const { before, after } = change
      const label = subjectOf(speech, change)
      if (after === true) return speech.say('nowFound', { label })
      if (after === null) return speech.say('noLongerLooked', { label })
      return speech.say(before === null ? 'newlyLooked' : 'nowNotFound', { label })
    }),
  ]
  return lines.length > 0 ? lines : [speech.say('otherAnswers')]
}

export const researchWords = (speech: Speech): string => `${speech.say('researchOnly')}. ${speech.say('researchNote')}`

/** What a reader must know beside the findings: what it may be used for, how far it stands, changes, what is missing. */
export const notes = (speech: Speech, content: StudyContent): string[] => [
  ...(content.researchUseOnly ? [researchWords(speech)] : []),
  standingWords(speech, content),
  `${item(speech, 'complete', completeWords(speech, content))}.`,
  ...changeLines(speech, content).map(line => `${item(speech, 'changes', line)}.`),
  ...missingLines(speech, content).map(line => `${item(speech, 'missing', line)}.`),
]

export function verdictWords(speech: Speech, verdict: SaidOfImage['verdict']): string | null {
  if (verdict === null) return null
  if (verdict.verdict === 'agreed') return speech.say('personAgrees')
  if (verdict.verdict === 'unsure') return speech.say('personUnsure')
  return verdict.label === null ? speech.say('personDisagrees') : speech.say('personCorrects', { label: verdict.label })
}

export function sexWords(speech: Speech, sex: string | null): string | null {
  const keys: Readonly<Record<string, TextKey>> = { F: 'female', M: 'male', O: 'otherSex' }
  const key = sex !== null && Object.hasOwn(keys, sex) ? keys[sex] : undefined
  return key ? speech.say(key) : sex
}
