import { memo } from 'react'
import type { Prediction } from '../api/types.ts'
import { cameBy, duration, flag, score, scoreAgainst, short } from '../format.ts'
import { type Item, statusOf } from '../live/feed.ts'
import type { Key, Row } from '../live/filter.ts'
import { levelOf, levelWords } from '../live/finding.ts'
import { followLink, instanceHref } from '../router.ts'
import { Age, CodeLink } from '../ui/basics.tsx'
import { LevelIcon, NoPictureIcon, ParkedIcon } from '../ui/icons.tsx'
import { ScoreBar } from '../ui/score-bar.tsx'
import { Thumb } from '../ui/thumb.tsx'
import { Refused } from './refused.tsx'

interface Props {
  row: Row
  /** Distance from the top of the list, CSS pixels. */
  top: number
  height: number
  index: number
  count: number
  current: boolean
  compact: boolean
  query: URLSearchParams
  setFilter(key: Key, value: string): void
}

/** A row slides in only if it has just come. */
const newForMs = 800

export const FeedRow = memo(function FeedRow(props: Props) {
  const { row, top, height, index, count, current, compact, query } = props
  const { item, shown } = row
  const arrives = item.fresh && index < 3 && Date.now() - item.at < newForMs + (shown?.timings.inferMs ?? 0)
  return (
    <article
      className={`row${shown ? '' : ' unsaid'}${current ? ' current' : ''}${arrives ? ' arrives' : ''}`}
      style={{ transform: `translateY(${top}px)`, height }}
      aria-posinset={index + 1}
      aria-setsize={count}
      aria-labelledby={`row-${item.id}`}
      {...(current ? { 'aria-current': 'true' as const } : {})}
    >
      <Thumb key={item.id} id={item.id} size={compact ? 72 : 56} none={item.instance?.rows === null} />
      <div className="finding">
        <a id={`row-${item.id}`} className="open" href={instanceHref(item.id, query)} onClick={followLink}>
          <Title item={item} shown={shown} />
        </a>
        <Said {...props} />
      </div>
      <div className="score">{shown && <Score said={shown} />}</div>
      <div className="marks">{shown && <Marks said={shown} />}</div>
      <Facts {...props} />
      <Patient {...props} />
      <span className="took figure small">
        {shown ? duration(shown.predictedAt - shown.receivedAt) : <span className="muted">–</span>}
      </span>
      <span className="age figure small muted">
        <Age at={item.at} />
      </span>
    </article>
  )
})

function Title({ item, shown }: { item: Item; shown: Prediction | undefined }) {
  if (shown) {
    const level = levelOf(shown)
    return (
      <>
        <LevelIcon level={level} />
        <span className={shown.role === 'production' ? 'label' : 'label trial'}>{shown.label}</span>
        <span className="hidden">, {levelWords[level]}</span>
      </>
    )
  }
  const [parked] = item.parked
  if (parked) {
    return (
      <>
        <ParkedIcon /> <span className="label">Parked: {parked.title}</span>
      </>
    )
  }
  const status = statusOf(item)
  if (status === 'waiting') return <span className="label pending">Waiting for {item.accepted?.join(', ')}</span>
  if (status === 'unknown') return <span className="label pending">No result</span>
  return (
    <>
      <NoPictureIcon /> <span className="label">No model took it</span>
    </>
  )
}

/** Second line: who said it, or why nobody did. */
function Said({ row: { item, shown }, setFilter }: Props) {
  const [parked] = item.parked
  if (parked) {
    return (
      <span className="said small muted" title={parked.message}>
        <CodeLink code={parked.code} /> <span>{parked.remedy}</span>
      </span>
    )
  }
  if (!shown) {
    return (
      <span className="said small muted">
        {statusOf(item) === 'waiting' && item.fresh ? 'In the queue' : <Refused id={item.id} />}
      </span>
    )
  }
  const others = item.predictions.length - 1
  const { name, version } = shown.model
  return (
    <span className="said small muted">
      <button type="button" className="value" onClick={() => setFilter('model', name)} title={`Only model ${name}`}>
        {name}@{version}
      </button>
      {others > 0 && ` and ${others} more`}
    </span>
  )
}

function Score({ said }: { said: Prediction }) {
  const { threshold } = said
  const [value, against] = threshold === null ? [score(said.score)] : scoreAgainst(said.score, threshold)
  return (
    <>
      <ScoreBar
        score={said.score}
        threshold={threshold}
        level={levelOf(said)}
        uncertain={said.quality.length > 0}
        label={said.label}
      />
      <span className="numbers">
        {value}
        {against && <span className="muted small"> / {against}</span>}
      </span>
    </>
  )
}

function Marks({ said }: { said: Prediction }) {
  return (
    <>
      {said.role !== 'production' && <span className="tag dashed">{said.role}</span>}
      {said.quality.map(name => (
        <span key={name} className="tag" title={flag(name)}>
          {flag(name)}
        </span>
      ))}
    </>
  )
}

function Facts({ row: { item, shown }, setFilter }: Props) {
  const { instance } = item
  const modality = instance?.modality ?? shown?.modality ?? null
  const site = instance?.site ?? shown?.site
  const where = instance && cameBy(instance.source)
  return (
    <span className="facts small">
      <span>
        {modality ? (
          <button
            type="button"
            className="value strong"
            onClick={() => setFilter('modality', modality)}
            title={`Only modality ${modality}`}
          >
            {modality}
          </button>
        ) : (
          <span className="muted">{instance?.object.contentType.replace('image/', '').toUpperCase() ?? 'Image'}</span>
        )}{' '}
        {[instance?.bodyPart, instance?.view].filter(Boolean).join(' ')}
      </span>
      <span className="muted from">
        {where}
        {site && (
          <>
            {where && ' · '}
            <button type="button" className="value" onClick={() => setFilter('site', site)} title={`Only site ${site}`}>
              {site}
            </button>
          </>
        )}
      </span>
    </span>
  )
}

function Patient({ row: { item, shown }, setFilter }: Props) {
  const patient = item.instance?.patient ?? shown?.patient ?? null
  if (patient === null) return <span className="patient small muted">–</span>
  return (
    <span className="patient small">
      <button
        type="button"
        className="value mono"
        onClick={() => setFilter('patient', patient)}
        title={`Pseudonym ${patient}. Only this patient`}
      >
        {short(patient.replace(/^\w{1,3}_/, ''))}
      </button>
    </span>
  )
}
