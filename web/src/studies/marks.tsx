/** How far a study is, in one row of small marks: told apart by shape, each with its word for those who hover or listen. */
import type { WorklistLine } from './api.ts'

type Stage = 'done' | 'under-way' | 'none' | 'fault'

function Shape({ stage }: { stage: Stage }) {
  return (
    <svg className={`mark-${stage}`} width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      {stage === 'fault' ? (
        <path d="M6 1 11.4 10.6H.6Z" fill="currentColor" />
      ) : (
        <>
          <circle
            cx="6"
            cy="6"
            r="4"
            fill={stage === 'done' ? 'currentColor' : 'none'}
            stroke="currentColor"
            strokeWidth="1.5"
          />
          {stage === 'under-way' && <path d="M6 2a4 4 0 0 1 0 8Z" fill="currentColor" />}
        </>
      )}
    </svg>
  )
}

function Mark({ stage, name, value, words }: { stage: Stage; name: string; value: string; words: string }) {
  return (
    <span className="mark" title={words}>
      <Shape stage={stage} />
      <span aria-hidden="true">
        {value} <span className="muted">{name}</span>
      </span>
      <span className="hidden">{words}</span>
    </span>
  )
}

const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`

/** The number shown is of what the shape is about: what was not sent comes before what waits, that before what was sent. */
function Sent({ sent, failed, claimed }: WorklistLine['deliveries']) {
  const [stage, value, name]: [Stage, number, string] =
    failed > 0
      ? ['fault', failed, 'not sent']
      : claimed > 0
        ? ['under-way', claimed, 'to send']
        : [sent > 0 ? 'done' : 'none', sent, 'sent']
  const counts = [`${sent} sent`, failed > 0 && `${failed} not sent`, claimed > 0 && `${claimed} still to be sent`]
  const words = `Messages to people and reports to systems: ${counts.filter(Boolean).join(', ')}`
  return <Mark name={name} stage={stage} value={String(value)} words={words} />
}

export function Marks({ line }: { line: WorklistLine }) {
  const { state, images, expected, predictions, missing, reports, deliveries } = line
  const gathering = state === 'gathering'
  return (
    <span className="study-marks small">
      <Mark
        name={images === 1 && expected === null ? 'image' : 'images'}
        stage={gathering ? 'under-way' : images === 0 ? 'none' : 'done'}
        value={expected !== null && expected !== images ? `${images}/${expected}` : String(images)}
        words={`${plural(images, 'image')}${expected === null ? '' : ` of ${expected}`}${gathering ? ', more may come' : ''}`}
      />
      <Mark
        name={predictions === 1 ? 'answer' : 'answers'}
        stage={missing > 0 ? 'fault' : predictions === 0 ? 'none' : gathering ? 'under-way' : 'done'}
        value={String(predictions)}
        words={`${plural(predictions, 'answer')} of models${missing > 0 ? `, ${missing} missing` : ''}`}
      />
      <Mark
        name={reports === 1 ? 'report' : 'reports'}
        stage={reports === 0 ? 'none' : 'done'}
        value={String(reports)}
        words={plural(reports, 'report')}
      />
      <Sent {...deliveries} />
    </span>
  )
}
