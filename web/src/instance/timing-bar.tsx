import type { Prediction } from '../api/types.ts'
import { duration } from '../format.ts'

const steps = [
  ['queueMs', 'queue'],
  ['fetchMs', 'fetch'],
  ['decodeMs', 'decode'],
  ['prepareMs', 'prepare'],
  ['inferMs', 'infer'],
] as const

/** The way from arrival to result as one stacked bar, step by step; what no step accounts for is "log and rest". */
export function TimingBar({ said }: { said: Prediction }) {
  const total = Math.max(0, said.predictedAt - said.receivedAt)
  const parts = steps.map(([field, name]) => ({ name: name as string, ms: Math.max(0, said.timings[field]) }))
  const known = parts.reduce((sum, { ms }) => sum + ms, 0)
  const all = total > known ? [...parts, { name: 'log and rest', ms: total - known }] : parts
  const whole = Math.max(total, known, 0.001)
  return (
    <figure className="timing">
      <figcaption className="small">
        <b>{duration(total)}</b> <span className="muted">from arrival to result</span>
        {said.timings.batch > 1 && <span className="muted"> · batch of {said.timings.batch}</span>}
      </figcaption>
      <div className="stack" aria-hidden="true">
        {all.map(({ name, ms }, step) => (
          <span key={name} data-step={step} style={{ flexGrow: ms / whole }} title={`${name} ${duration(ms)}`} />
        ))}
      </div>
      <ul className="small">
        {all.map(({ name, ms }, step) => (
          <li key={name}>
            <i data-step={step} aria-hidden="true" />
            <span className="muted">{name}</span> {duration(ms)}
          </li>
        ))}
      </ul>
    </figure>
  )
}
