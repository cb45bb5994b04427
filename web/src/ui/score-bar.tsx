import { score as words } from '../format.ts'
import type { Level } from '../live/finding.ts'

interface Props {
  /** 0..1 */
  score: number
  threshold: number | null
  level: Level
  uncertain: boolean
  label: string
}

/**
 * A score against its threshold on one small bar: filled to the score, a tick at the threshold. Uncertain scores are
 * hollow and dashed, so that they do not look like an answer.
 */
export function ScoreBar({ score, threshold, level, uncertain, label }: Props) {
  const percent = Math.max(0, Math.min(1, score)) * 100
  const name =
    threshold === null
      ? `${label}: ${words(score)}`
      : `${label}: ${words(score)}, threshold ${words(threshold)}${uncertain ? ', uncertain' : ''}`
  return (
    <span className={`bar level-${level}${uncertain ? ' uncertain' : ''}`} role="img" aria-label={name} title={name}>
      <span className="fill" style={{ width: `${percent}%` }} />
      {threshold !== null && <span className="tick" style={{ left: `${threshold * 100}%` }} />}
    </span>
  )
}
