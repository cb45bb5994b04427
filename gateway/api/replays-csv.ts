/** A comparison image by image (RFC 4180). */
import { csvLine } from '../../schemas/csv.ts'
import type { Prediction } from '../../schemas/topics.ts'
import { directionOf, type Pair } from './replays-pairs.ts'

const columns = [
  'instance',
  'study',
  'site',
  'modality',
  'production_version',
  'production_label',
  'production_score',
  'candidate_version',
  'candidate_label',
  'candidate_score',
  'flip',
  'feedback_label',
]

export async function* csvOf(pairs: AsyncIterable<{ candidate: Prediction; pair: Pair | undefined }>) {
  yield csvLine(columns)
  for await (const { candidate, pair } of pairs) {
    const { instance, study, site, modality, model, label, score } = candidate
    const production = pair ? [pair.production.version, pair.production.label, pair.production.score] : ['', '', '']
    const rest = pair ? [directionOf(pair), pair.truth] : [null, null]
    yield csvLine([instance, study, site, modality, ...production, model.version, label, score, ...rest])
  }
}
