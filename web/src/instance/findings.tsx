import { useState } from 'react'
import { scoredLabel } from '../../../schemas/prediction.ts'
import { explanationUrl, get } from '../api/client.ts'
import { itemsOf, toModel } from '../api/shape.ts'
import type { Detail, Prediction } from '../api/types.ts'
import { flag, score, short } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { levelOf, verdict } from '../live/finding.ts'
import { ProblemNotice, Skeleton } from '../ui/basics.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { Quality } from '../ui/quality.tsx'
import { ScoreBar } from '../ui/score-bar.tsx'
import { TimingBar } from './timing-bar.tsx'

export function Findings({ detail }: { detail: Detail }) {
  const { predictions, routes } = detail
  if (predictions.length === 0) {
    const waiting = routes.filter(({ accepted }) => accepted).map(({ model }) => model.name)
    return (
      <section className="block">
        <h2>{waiting.length > 0 ? `Waiting for ${waiting.join(', ')}` : 'No model took this image'}</h2>
        <p className="muted">
          {waiting.length > 0 ? 'The result appears here by itself.' : 'The reasons stand below, model by model.'}
        </p>
      </section>
    )
  }
  return (
    <>
      {predictions.map(prediction => (
        <Finding key={prediction.id} said={prediction} />
      ))}
    </>
  )
}

function Finding({ said }: { said: Prediction }) {
  const level = levelOf(said)
  const uncertain = said.quality.length > 0
  return (
    <section className="block finding-block">
      <header>
        <LevelIcon level={level} size={18} />
        <h2 className={said.role === 'production' ? 'label' : 'label trial'}>{said.label}</h2>
        {said.role !== 'production' && <span className="tag dashed">{said.role}: not the answer in use</span>}
        <span className="spring" />
        <span className="number">{score(said.score)}</span>
      </header>
      <ScoreBar score={said.score} threshold={said.threshold} level={level} uncertain={uncertain} label={said.label} />
      <p className="small muted">
        {verdict(said)} Confidence in what was said {score(said.confidence)}.
      </p>
      {uncertain && (
        <ul className="flags">
          {said.quality.map(name => (
            <li key={name} className="tag">
              {flag(name)}
            </li>
          ))}
        </ul>
      )}
      {said.explanation && <Explained said={said} />}
      <Probabilities said={said} />
      <TimingBar said={said} />
      <ModelCard said={said} />
    </section>
  )
}

function Explained({ said }: { said: Prediction }) {
  const [gone, setGone] = useState(false)
  if (gone) return <p className="small muted">The picture of what it rests on cannot be shown.</p>
  const what = `What speaks most for “${scoredLabel(said)}” to ${said.model.name}`
  return (
    <figure className="explained">
      <img src={explanationUrl(said.id)} alt={`${what}, in colours`} onError={() => setGone(true)} />
      <figcaption className="small muted">
        {what} within this image, in colours (pale yellow: most). It is what the model looked at, not where a disease
        is.
      </figcaption>
    </figure>
  )
}

function Probabilities({ said }: { said: Prediction }) {
  const sorted = Object.entries(said.probabilities).sort(([, a], [, b]) => b - a)
  return (
    <table className="probabilities">
      <caption className="hidden">Probability of each class</caption>
      <tbody>
        {sorted.slice(0, 10).map(([label, probability]) => (
          <tr key={label} className={label === said.label ? 'given' : ''}>
            <th scope="row">
              <span>{label}</span>
            </th>
            <td className="track">
              <span style={{ width: `${probability * 100}%` }} />
            </td>
            <td className="figure">{score(probability)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function ModelCard({ said }: { said: Prediction }) {
  const [open, setOpen] = useState(false)
  const { name, version, runtime, digest } = said.model
  return (
    <details className="card" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        {name}@{version}{' '}
        <span className="muted small">
          {runtime} · weights {short(digest)}
        </span>
      </summary>
      {open && <Card name={name} version={version} />}
    </details>
  )
}

function Card({ name, version }: { name: string; version: string }) {
  const { value, problem, reload } = useLoaded('models', signal => get('/models', itemsOf(toModel), signal))
  if (problem) return <ProblemNotice problem={problem} retry={reload} />
  if (!value) return <Skeleton height={80} />
  const model = value.find(({ ref }) => ref.name === name && ref.version === version)
  if (!model) return <p className="muted small">This version is not loaded any more, so its card is not here.</p>
  const { card } = model.manifest
  return (
    <div className="small card-body">
      <p>{card.intendedUse}</p>
      <Quality quality={card.quality} />
      <p className="muted">Limits: {card.limits}</p>
      <p className="muted">Data: {card.data}</p>
    </div>
  )
}
