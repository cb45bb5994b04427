/** A comparison image by image (RFC 4180). */
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
  yield line(columns)
  for await (const { candidate, pair } of pairs) {
    const { instance, study, site, modality, model, label, score } = candidate
    const production = pair ? [pair.production.version, pair.production.label, pair.production.score] : ['', '', '']
    const rest = pair ? [directionOf(pair), pair.truth] : [null, null]
    yield line([instance, study, site, modality, ...production, model.version, label, score, ...rest])
  }
}

const line = (cells: readonly (string | number | null)[]): string => `${cells.map(cellOf).join(',')}\r\n`

/** A text that a spreadsheet would take for a formula is shown as a text: modalities are whatever a device sent. */
function cellOf(cell: string | number | null): string {
  if (cell === null) return ''
  if (typeof cell === 'number') return String(cell)
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
