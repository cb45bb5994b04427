import type { Instance, Prediction } from '../api/types.ts'

type Region = Prediction['regions'][number]

/** What models in use marked on a frame: what another says is not drawn on the image as if it were an answer. */
export const outlinedOn = (said: readonly Prediction[], frame: number): Region[] =>
  said
    .filter(({ role }) => role === 'production' || role === 'canary')
    .flatMap(({ regions }) => regions ?? [])
    .filter(region => region.frame === frame)

/** Over the picture, which is shown whole and in its own shape, in the middle of its place. */
export function Outlines({ of, instance }: { of: readonly Region[]; instance: Instance | null }) {
  if (of.length === 0 || !instance?.rows || !instance.columns) return null
  const labels = [...new Set(of.map(({ label }) => label))].join(', ')
  return (
    <>
      <svg className="outlines" viewBox={`0 0 ${instance.columns} ${instance.rows}`} aria-hidden="true">
        {of.map(({ label, points }) => (
          <polygon key={`${label} ${points.join(' ')}`} points={points.join(' ')} vectorEffect="non-scaling-stroke" />
        ))}
      </svg>
      <span className="picture-note outlined">Outlined by a model: {labels}</span>
    </>
  )
}
