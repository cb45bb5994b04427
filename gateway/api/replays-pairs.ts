/** What a replay said of each image, beside what production said at the time, and what a person said of it. */
import type { ReplayDoc } from '../../schemas/replay.ts'
import type { Feedback, Prediction } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'

/** What the comparison needs of a prediction. */
export type Said = Pick<Prediction, 'id' | 'label' | 'score' | 'threshold' | 'probabilities'> & { version: string }

export type Direction = 'to-positive' | 'to-negative' | 'other'

export interface Pair {
  instance: string
  study: string
  site: string
  modality: string | null
  production: Said
  candidate: Said
  /** The label that a person gave; null where nobody did. */
  truth: string | null
}

/** Values of one query: more are looked up one row at a time (storage/sqlite). */
const asked = 32

/** Oldest first. Images of which production said nothing come without it. */
export async function* pairsOf(
  documents: DocumentStore,
  replay: ReplayDoc,
): AsyncGenerator<{ candidate: Prediction; pair: Pair | undefined }> {
  const withFeedback = (await documents.count('feedback')) > 0
  let cursor: string | null = ''
  while (cursor !== null) {
    const page = { where: { replay: replay.id }, order: 'oldest', limit: 512 } as const
    const found: Awaited<ReturnType<typeof documents.find<'replayed'>>> = await documents.find(
      'replayed',
      cursor === '' ? page : { ...page, cursor },
    )
    cursor = found.next
    for (let at = 0; at < found.items.length; at += asked) {
      const candidates = found.items.slice(at, at + asked)
      const instances = [...new Set(candidates.map(({ instance }) => instance))]
      const [production, truths] = await Promise.all([
        productionOf(documents, replay, instances),
        withFeedback ? truthsOf(documents, replay.model.name, instances) : new Map<string, string>(),
      ])
      for (const candidate of candidates)
        yield { candidate, pair: pairOf(candidate, production.get(candidate.instance), truths.get(candidate.instance)) }
    }
  }
}

function pairOf(candidate: Prediction, production: Prediction | undefined, truth: string | undefined) {
  if (!production) return undefined
  const { instance, study, site, modality } = candidate
  return {
    instance,
    study,
    site,
    modality,
    production: said(production),
    candidate: said(candidate),
    truth: truth ?? null,
  }
}

const said = ({ id, label, score, threshold, probabilities, model: { version } }: Prediction): Said => ({
  ...{ id, label, score, threshold, probabilities, version },
})

/** The last that another version said in production before the replay was asked for; where there was no other, its own. */
async function productionOf(documents: DocumentStore, replay: ReplayDoc, instances: readonly string[]) {
  const { items } = await documents.find('predictions', {
    where: { instance: { in: instances }, role: 'production', 'model.name': replay.model.name },
    order: 'oldest',
    limit: 1000,
  })
  const isOwn = ({ model }: Prediction) => model.version === replay.model.version
  const atTheTime = items.filter(({ predictedAt }) => predictedAt <= replay.createdAt)
  return new Map([...atTheTime.filter(isOwn), ...atTheTime.filter(one => !isOwn(one))].map(one => [one.instance, one]))
}

/** By instance, the label that a person last gave of what this model looks for. */
async function truthsOf(documents: DocumentStore, model: string, instances: readonly string[]) {
  const { items } = await documents.find('feedback', {
    where: { instance: { in: instances } },
    order: 'oldest',
    limit: 1000,
  })
  const about = await predictionsOf(documents, items)
  const truths = new Map<string, string>()
  for (const { instance, prediction, verdict, label } of items) {
    const of = about.get(prediction)
    if (of?.model.name !== model) continue
    const truth = verdict === 'agreed' ? of.label : verdict === 'corrected' ? label : null
    if (truth === null) truths.delete(instance)
    else truths.set(instance, truth)
  }
  return truths
}

async function predictionsOf(
  documents: DocumentStore,
  feedback: readonly Feedback[],
): Promise<Map<string, Prediction>> {
  const wanted = [...new Set(feedback.map(({ prediction }) => prediction))]
  const [results, tried] = await Promise.all([
    documents.getMany('predictions', wanted),
    documents.getMany('replayed', wanted),
  ])
  return new Map([...results, ...tried].map(one => [one.id, one]))
}

/** Of two classes one is positive, at or above the threshold; of more none is. */
export const isPositive = ({ threshold, score }: Said): boolean => threshold !== null && score >= threshold

/** The label of the positive class; undefined where there are not two. */
export function positiveLabel(said: Said): string | undefined {
  if (said.threshold === null) return undefined
  return isPositive(said) ? said.label : Object.keys(said.probabilities).find(label => label !== said.label)
}

export function directionOf({ production, candidate }: Pair): Direction | null {
  if (production.label === candidate.label) return null
  if (production.threshold === null || candidate.threshold === null) return 'other'
  if (isPositive(production) === isPositive(candidate)) return 'other'
  return isPositive(candidate) ? 'to-positive' : 'to-negative'
}

/** The probability that both give to the same thing: the positive class, or, of many classes, what production said. */
export function scoresOf({ production, candidate }: Pair): { production: number; candidate: number } {
  if (production.threshold !== null && candidate.threshold !== null)
    return { production: production.score, candidate: candidate.score }
  const { label } = production
  return { production: production.score, candidate: candidate.probabilities[label] ?? 0 }
}
