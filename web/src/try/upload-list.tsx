import { useSyncExternalStore } from 'react'
import { bytes, score } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { useLive, useStore } from '../live/context.ts'
import { reasons } from '../live/explain.ts'
import { statusOf } from '../live/feed.ts'
import { leading, levelOf } from '../live/finding.ts'
import { followLink, instanceHref } from '../router.ts'
import { CodeLink } from '../ui/basics.tsx'
import { DoneIcon, FaultIcon, LevelIcon } from '../ui/icons.tsx'
import { Thumb } from '../ui/thumb.tsx'
import type { Upload, Uploads } from '../uploads.ts'

const noQuery = new URLSearchParams()

/** What was sent: its progress, and what became of it as it comes live. */
export function UploadList({ uploads }: { uploads: Uploads }) {
  const list = useSyncExternalStore(uploads.subscribe, uploads.list)
  if (list.length === 0) return null
  const finished = list.some(({ state }) => state === 'stored' || state === 'refused')
  return (
    <div className="uploads">
      <header>
        <h2>Sent</h2>
        <span className="spring" />
        {finished && (
          <button type="button" className="button" onClick={uploads.clear}>
            Clear finished
          </button>
        )}
      </header>
      <ul>
        {list.map(one => (
          <UploadLine key={one.key} upload={one} />
        ))}
      </ul>
    </div>
  )
}

const words = { waiting: 'Waiting', sending: 'Sending', stored: 'Stored', refused: 'Refused' }

function UploadLine({ upload }: { upload: Upload }) {
  const { name, state, sent, problem, results } = upload
  return (
    <li className="upload">
      <div className="upload-head">
        {state === 'stored' ? <DoneIcon /> : state === 'refused' ? <FaultIcon /> : <UploadDots />}
        <span className="name" title={name}>
          {name}
        </span>
        <span className="muted small">
          {bytes(upload.bytes)} · {words[state]}
        </span>
      </div>
      {state === 'sending' && <progress value={sent} max={1} aria-label={`${name}, sent`} />}
      {problem && (
        <p className="small">
          {problem.details.title}. <span className="muted">{problem.message}</span>{' '}
          <span className="muted">{problem.details.remedy}</span> <CodeLink code={problem.details.code} />
        </p>
      )}
      {results.slice(0, 20).map(({ id }) => id && <Outcome key={id} id={id} />)}
      {results.length > 20 && <p className="muted small">and {results.length - 20} more, in the live list</p>}
    </li>
  )
}

const UploadDots = () => (
  <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="5.5" fill="none" stroke="currentColor" strokeWidth="1.5" strokeDasharray="2 3" />
  </svg>
)

function Outcome({ id }: { id: string }) {
  const item = useLive(({ feed }) => feed.byId.get(id))
  const said = item && leading(item.predictions)
  const status = item && statusOf(item)
  return (
    <a className="outcome" href={instanceHref(id, noQuery)} onClick={followLink}>
      <Thumb id={id} size={48} eager />
      <span>
        {said ? (
          <>
            <LevelIcon level={levelOf(said)} /> <b>{said.label}</b> {score(said.score)}{' '}
            <span className="muted small">
              {said.model.name}@{said.model.version}
            </span>
          </>
        ) : status === 'refused' ? (
          <NotTaken id={id} />
        ) : status === 'parked' ? (
          <>Parked: {item?.parked[0]?.title}</>
        ) : (
          <span className="muted">Waiting for the result</span>
        )}
      </span>
    </a>
  )
}

function NotTaken({ id }: { id: string }) {
  const { explain } = useStore()
  const { value } = useLoaded(`explain ${id}`, () => explain(id))
  return (
    <>
      No model took it. <span className="muted small">{value && reasons(value.routes)}</span>
    </>
  )
}
