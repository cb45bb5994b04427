import type { ModelManifest } from '../api/types.ts'

type Figures = ModelManifest['card']['quality']

/** Measured quality with its interval, and on which data. */
export function Quality({ quality }: { quality: Figures }) {
  if (quality.length === 0) return <p className="muted">No quality was measured.</p>
  return (
    <ul className="quality">
      {quality.map(({ measure, value, low, high, on }) => (
        <li key={`${measure} ${on}`}>
          <b>
            {measure} {value}
          </b>
          {low !== undefined && high !== undefined && (
            <span>
              {' '}
              ({low}–{high})
            </span>
          )}
          <span className="muted"> on {on}</span>
        </li>
      ))}
    </ul>
  )
}
