/** From what models said of images, and people of that, to a study's findings. Pure. */
import type { ModelInfo } from '../../models/port.ts'
import type { StudyAnswerDoc, StudyImageDoc, StudyVerdictDoc } from '../../schemas/study.ts'
import type { StudyChanges, StudyFinding } from '../../schemas/topics.ts'
import type { FindingRule } from './settings.ts'

export interface Parts {
  images: readonly StudyImageDoc[]
  answers: readonly StudyAnswerDoc[]
  verdicts: readonly StudyVerdictDoc[]
}

/** One answer with its image. */
interface Said {
  image: StudyImageDoc
  answer: StudyAnswerDoc
  /** What a person said would be right. */
  corrected: string | null
}

/** How many images of a finding are named. */
const mostNamed = 100

/** The findings of a study, in the order of the rules and models: the same parts give the same findings. */
export function findingsOf(parts: Parts, rules: readonly FindingRule[], models: readonly ModelInfo[]): StudyFinding[] {
  const byModel = Map.groupBy(saidOf(parts), ({ answer }) => answer.model)
  return [...byModel.keys()].sort().flatMap(model => {
    const said = byModel.get(model) ?? []
    const rule = rules.find(one => fits(one, said))
    if (!rule) return []
    return labelsOf(rule, said, models).flatMap(label => {
      const groups = Map.groupBy(said, one => groupOf(rule, one))
      return [...groups]
        .sort(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1))
        .map(([group, of]) => finding(rule, label, group, of))
    })
  })
}

/** Of each image and model the newest answer, in the order of the images. */
function saidOf({ images, answers, verdicts }: Parts): Said[] {
  const newestVerdict = new Map(verdicts.toSorted((a, b) => a.at - b.at).map(verdict => [verdict.prediction, verdict]))
  const byImage = Map.groupBy(
    answers.filter(({ code }) => code === null).toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1)),
    ({ instance }) => instance,
  )
  return images.flatMap(image => {
    const newest = new Map((byImage.get(image.id) ?? []).map(answer => [answer.model, answer]))
    return [...newest.values()].map(answer => {
      const verdict = newestVerdict.get(answer.id)
      return { image, answer, corrected: verdict?.verdict === 'corrected' ? verdict.label : null }
    })
  })
}

const fits = ({ models }: FindingRule, said: readonly Said[]): boolean =>
  models.length === 0 ||
  said.some(({ answer: { model, version } }) => models.some(one => one === model || one === `${model}@${version}`))

/** Null where the image does not say which side or series it is of. */
function groupOf({ per }: FindingRule, { image }: Said): string | null {
  if (per === 'study') return null
  return per === 'laterality' ? image.laterality : image.series
}

/** The model's positive label; of a model that has none each label that was given, by a model or a person. */
function labelsOf({ labels }: FindingRule, said: readonly Said[], models: readonly ModelInfo[]): readonly string[] {
  if (labels.length > 0) return labels
  const [first] = said
  const info = models.find(({ ref }) => ref.name === first?.answer.model && ref.version === first.answer.version)
  const positive = info?.manifest.output.kind === 'binary' ? info.manifest.output.positive : undefined
  if (positive !== undefined) return [positive]
  return [...new Set(said.map(({ answer, corrected }) => corrected ?? answer.label))].sort()
}

/** 0..1: how sure the model is of the label. Of many labels only the likeliest are told; the rest count as 0. */
const scoreOf = ({ label, score, probabilities }: StudyAnswerDoc, wanted: string): number =>
  probabilities[wanted] ?? (label === wanted ? score : 0)

function finding(rule: FindingRule, label: string, group: string | null, said: readonly Said[]): StudyFinding {
  const scored = said
    .map(one => ({ ...one, score: scoreOf(one.answer, label), says: saysSo(rule, one, label) }))
    .toSorted((a, b) => Number(b.says) - Number(a.says) || b.score - a.score || (a.image.id < b.image.id ? -1 : 1))
  const positives = scored.filter(({ says }) => says)
  const drawn = (scores: readonly number[]) =>
    rule.by === 'mean' ? scores.reduce((sum, one) => sum + one, 0) / scores.length : Math.max(...scores)
  const score = drawn(scored.map(one => one.score))
  const [surest] = scored
  const threshold = rule.threshold ?? surest?.answer.threshold ?? null
  // What a person said is certain, whatever the model gave it; what is told is the model's.
  const judged = drawn(scored.map(one => (one.corrected === null ? one.score : Number(one.corrected === label))))
  const present = isPresent(rule, { score: judged, threshold, positives: positives.length })
  const named = (present && positives.length > 0 ? positives : scored.slice(0, 1)).slice(0, mostNamed)
  return {
    model: surest ? `${surest.answer.model}@${surest.answer.version}` : '',
    label,
    score,
    instances: named.map(({ image }) => image.id),
    present,
    threshold,
    rule: rule.by,
    group,
    positive: positives.length,
    analysed: said.length,
    corrected: said.filter(({ answer, corrected }) => corrected !== null && corrected !== answer.label).length,
    quality: [...new Set(named.flatMap(({ answer }) => answer.quality))].sort(),
    priority: rule.priority,
  }
}

/** A person's word stands above the model's. */
function saysSo(rule: FindingRule, { answer, corrected }: Said, label: string): boolean {
  if (corrected !== null) return corrected === label
  if (rule.threshold !== null) return scoreOf(answer, label) >= rule.threshold
  return answer.label === label
}

function isPresent(
  { by, atLeast }: FindingRule,
  { score, threshold, positives }: { score: number; threshold: number | null; positives: number },
): boolean {
  if (by === 'count') return positives >= atLeast
  // Without a threshold the highest class wins, image by image.
  if (by === 'any' || threshold === null) return positives > 0
  return score >= threshold
}

const nameOf = ({ model }: Pick<StudyFinding, 'model'>): string => model.split('@', 1)[0] ?? model

/** Findings that came, went, or are found now and were not, or the other way about. */
export function changedFindings(
  before: readonly StudyFinding[],
  after: readonly StudyFinding[],
): StudyChanges['findings'] {
  const keyOf = (one: StudyFinding) => JSON.stringify([nameOf(one), one.label, one.group])
  const old = new Map(before.map(one => [keyOf(one), one]))
  const fresh = new Map(after.map(one => [keyOf(one), one]))
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap(key => {
    const [was, is] = [old.get(key), fresh.get(key)]
    const one = is ?? was
    if (!one || was?.present === is?.present) return []
    const { label, group } = one
    return [{ model: nameOf(one), label, group, before: was?.present ?? null, after: is?.present ?? null }]
  })
}
