/** One notification in a list, and the button by which a person takes it. */
import { useEffect, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { time } from '../format.ts'
import { followLink } from '../router.ts'
import { Age } from '../ui/basics.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { act, type NoticeView } from './api.ts'
import { ownName } from './person.ts'
import { levelOf, stateOf } from './words.ts'
import './notifications.css'

/** That it was opened is part of its trail; a page that cannot say so still shows it. @param id null: none was */
export function useSeen(id: string | null): void {
  useEffect(() => {
    if (id !== null) void act(id, 'seen', ownName()).catch(() => undefined)
  }, [id])
}

export function NoticeLine({
  notice,
  current,
  onChanged,
}: {
  notice: NoticeView
  current: boolean
  onChanged(): void
}) {
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
        {phase === 'awaiting' && <span className="small">Passed on at {time(dueAt)} if nobody acknowledges it</span>}
      </span>
      {notice.mayAcknowledge && <Acknowledge id={id} onDone={onChanged} />}
      <span className="figure small">
        <Age at={createdAt} />
      </span>
    </li>
  )
}

export function Acknowledge({ id, onDone }: { id: string; onDone(): void }) {
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
