/** Notifications: what was told to whom, what waits for an acknowledgement, and this browser's own push. */
import { useEffect, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { time } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { useStudyNews } from '../live/context.ts'
import { followLink, navigate, usePlace } from '../router.ts'
import { Age, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { act, getNotice, getNotices, type NoticeView } from './api.ts'
import { canPush, pushPerson, startPush, stopPush } from './push.ts'
import { levelOf, stateOf, stepWords } from './words.ts'
import './notifications.css'

/** Until people have accounts, whoever acts here says who they are, once. */
const nameKey = 'raylog.name'
const ownName = () => localStorage.getItem(nameKey) ?? ''

export function NotificationsView({ selected }: { selected: string | null }) {
  const { query } = usePlace()
  const open = query.get('open') === '1'
  const list = useLoaded(`notifications ${open}`, signal => getNotices(open, signal))
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
              <Line key={notice.id} notice={notice} current={notice.id === selected} onChanged={list.reload} />
            ))}
          </ol>
        )}
        {list.value?.next && <p className="muted small">The newest 100 are shown.</p>}
      </div>
    </div>
  )
}

function Line({ notice, current, onChanged }: { notice: NoticeView; current: boolean; onChanged(): void }) {
  const { id, title, rule, modality, site, targets, dueAt, createdAt, phase } = notice
  const people = [...new Set(targets.map(({ person, channel }) => `${person} (${channel})`))]
  return (
    <li className={`notice-line${current ? ' current' : ''}`} {...(current ? { 'aria-current': 'true' as const } : {})}>
      <LevelIcon level={levelOf(notice)} />
      <span className="notice-what">
        <a href={`/notifications/${encodeURIComponent(id)}`} onClick={followLink}>
          {title}
        </a>
        <span className="small muted">
          {[stateOf(notice), people.join(', ') || 'nobody', rule, modality, site].filter(Boolean).join(' · ')}
        </span>
        {phase === 'awaiting' && <span className="small">Passed on at {time(dueAt)}</span>}
      </span>
      {notice.mayAcknowledge && <Acknowledge id={id} onDone={onChanged} />}
      <span className="figure small">
        <Age at={createdAt} />
      </span>
    </li>
  )
}

function Acknowledge({ id, onDone }: { id: string; onDone(): void }) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  async function press() {
    setBusy(true)
    setProblem(null)
    try {
      await act(id, 'acknowledge', ownName())
      onDone()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(false)
  }
  return (
    <span className="notice-act">
      <button type="button" className="button primary" disabled={busy} onClick={() => void press()}>
        Acknowledge
      </button>
      {problem && (
        <span className="small" role="alert">
          Not done: {problem.message}
        </span>
      )}
    </span>
  )
}

function Selected({ id, onChanged }: { id: string; onChanged(): void }) {
  const one = useLoaded(`notification ${id}`, signal => getNotice(id, signal))
  useStudyNews(one.value?.study ?? '', one.reload)
  useEffect(() => {
    // That it was opened is part of the trail; a page that cannot say so still shows it.
    void act(id, 'seen', ownName()).catch(() => undefined)
  }, [id])
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
          value={name}
          size={12}
          disabled={on}
          pattern="[A-Za-z0-9._\-]{1,64}"
          onChange={event => {
            setName(event.target.value)
            localStorage.setItem(nameKey, event.target.value)
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
