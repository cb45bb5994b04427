/** Notifications: what was told to whom, what waits for an acknowledgement, and this browser's own push. */
import { useEffect, useState } from 'react'
import { toProblem } from '../api/client.ts'
import { time } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { useStudyNews } from '../live/context.ts'
import { followLink, navigate, usePlace } from '../router.ts'
import { ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { getNotice, getNotices } from './api.ts'
import { Acknowledge, NoticeLine, useSeen } from './line.tsx'
import { keepName, ownName } from './person.ts'
import { canPush, pushPerson, pushTrouble, startPush, stopPush } from './push.ts'
import { stateOf, stepWords } from './words.ts'
import './notifications.css'

export function NotificationsView({ selected }: { selected: string | null }) {
  const { query } = usePlace()
  const open = query.get('open') === '1'
  const list = useLoaded(`notifications ${open}`, signal => getNotices({ open }, signal))
  useStudyNews(null, list.reload)
  const items = list.value?.items ?? []
  return (
    <div className="page">
      <div className="inner notices">
        <header className="page-head">
          <h1>Alerts</h1>
          <p className="muted">What was told to whom by the rules of the settings, and what became of it.</p>
        </header>
        <div className="notices-bar">
          <button
            type="button"
            className="button"
            aria-pressed={open}
            onClick={() => navigate(open ? '/notifications' : '/notifications?open=1')}
          >
            Only what is open
          </button>
          <PushSwitch />
        </div>
        {selected !== null && <Selected key={selected} id={selected} onChanged={list.reload} />}
        {list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
        {!list.value && list.loading && <SkeletonRows />}
        {list.value && items.length === 0 && (
          <p className="notice">
            {open
              ? 'Nothing is open.'
              : 'Nobody was told of anything yet: rules say what is told to whom. See docs/notifications.md.'}
          </p>
        )}
        {items.length > 0 && (
          <ol className="notices-list" aria-label="Notifications">
            {items.map(notice => (
              <NoticeLine key={notice.id} notice={notice} current={notice.id === selected} onChanged={list.reload} />
            ))}
          </ol>
        )}
        {list.value?.next && <p className="muted small">The newest 100 are shown.</p>}
      </div>
    </div>
  )
}

function Selected({ id, onChanged }: { id: string; onChanged(): void }) {
  const one = useLoaded(`notification ${id}`, signal => getNotice(id, signal))
  useStudyNews(one.value?.study ?? '', one.reload)
  useSeen(id)
  if (one.problem) return <ProblemNotice problem={one.problem} retry={one.reload} />
  if (!one.value) return <SkeletonRows count={1} height={120} />
  const notice = one.value
  const changed = () => {
    one.reload()
    onChanged()
  }
  return (
    <section className="notice-one" aria-label={notice.title}>
      <h2>{notice.title}</h2>
      <p className="muted">
        {stateOf(notice)}
        {notice.edition > 1 && ` · told anew ${notice.edition - 1} times`}
      </p>
      {notice.changes.length > 0 && (
        <ul>
          {notice.changes.map(change => (
            <li key={change}>{change}</li>
          ))}
        </ul>
      )}
      <ol className="notice-trail" aria-label="What became of it">
        {notice.trail.map((step, number) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the trail only grows at its end
          <li key={number}>
            <time className="figure small muted">{time(step.at)}</time>
            <span>
              {stepWords[step.what]}
              {step.who !== null && `: ${step.who}`}
              {step.channel !== null && ` by ${step.channel}`}
              {step.detail !== null && <span className="muted"> ({step.detail})</span>}
            </span>
          </li>
        ))}
      </ol>
      <div className="actions">
        {notice.mayAcknowledge && <Acknowledge id={id} onDone={changed} />}
        <a className="button" href={`/worklist/${encodeURIComponent(notice.study)}`} onClick={followLink}>
          See the study
        </a>
        <a className="button" href="/notifications" onClick={followLink}>
          Close
        </a>
      </div>
    </section>
  )
}

/** In whose name this page acts, and whether this browser is told by push. */
function PushSwitch() {
  const [name, setName] = useState(() => pushPerson() ?? ownName())
  const [on, setOn] = useState(() => pushPerson() !== null)
  const [words, setWords] = useState('')
  useEffect(() => {
    pushTrouble().then(
      trouble => {
        if (trouble === null) return
        setWords(trouble)
        setOn(false)
      },
      (thrown: unknown) => setWords(toProblem(thrown).message),
    )
  }, [])
  async function change() {
    setWords('')
    try {
      if (on) await stopPush()
      else await startPush(name)
      setOn(!on)
    } catch (thrown) {
      setWords(toProblem(thrown).message)
    }
  }
  return (
    <form
      className="notices-push"
      onSubmit={event => {
        event.preventDefault()
        void change()
      }}
    >
      <label>
        <span className="muted small">Your name in the settings</span>
        <input
          className="field"
          value={name}
          size={12}
          disabled={on}
          pattern="[A-Za-z0-9._\-]{1,64}"
          onChange={event => {
            setName(event.target.value)
            keepName(event.target.value)
          }}
        />
      </label>
      {canPush() && (
        <button type="submit" className="button" disabled={name === ''} aria-pressed={on}>
          {on ? 'This browser is told' : 'Tell this browser'}
        </button>
      )}
      {words !== '' && (
        <span className="small" role="alert">
          {words}
        </span>
      )}
    </form>
  )
}
