/** Replays with how far they are, and what can be done with each. */
import { useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { duration, integer, rate, time } from '../format.ts'
import { followLink } from '../router.ts'
import { Age, ProblemNotice } from '../ui/basics.tsx'
import { change, type Replay } from './api.ts'

export const replayHref = (id: string): string => `/replay/${encodeURIComponent(id)}`
export const nameOf = ({ model }: Pick<Replay, 'model'>): string => `${model.name}@${model.version}`

const stateWords: Record<Replay['state'], string> = {
  waiting: 'Waiting for a process with this model',
  running: 'Running',
  pausing: 'Pausing',
  paused: 'Paused',
  cancelling: 'Cancelling',
  cancelled: 'Cancelled',
  done: 'Done',
  failed: 'Failed',
}

export const isUnderWay = ({ state }: Replay): boolean => !['done', 'cancelled', 'failed', 'paused'].includes(state)

export function ReplayList({ replays, onChanged }: { replays: readonly Replay[]; onChanged(): void }) {
  if (replays.length === 0) return <p className="notice">There was no replay yet.</p>
  return (
    <ul className="replays">
      {replays.map(replay => (
        <li key={replay.id} className="replay-row">
          <header>
            <a href={replayHref(replay.id)} onClick={followLink}>
              {nameOf(replay)}
            </a>
            <span className="small muted">
              {time(replay.from)} to {time(replay.to)}
            </span>
            <span className="spring" />
            <span className="small muted">
              <Age at={replay.createdAt} />
            </span>
          </header>
          <ReplayProgress replay={replay} onChanged={onChanged} />
        </li>
      ))}
    </ul>
  )
}

export function ReplayProgress({ replay, onChanged }: { replay: Replay; onChanged(): void }) {
  const { state, events, counts, codes, perSecond, remainingMs, givesWayTo, error } = replay
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  async function act(action: 'pause' | 'resume' | 'cancel') {
    setBusy(true)
    setProblem(null)
    try {
      await change(replay.id, action)
      onChanged()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(false)
  }
  const failed = Object.entries(codes)
    .filter(([code]) => code !== 'object-missing') // said in words
    .map(([code, count]) => `${integer.format(count)} ${code}`)
  const parts = [
    `${integer.format(counts.predicted)} predicted`,
    ...(counts.refused > 0 ? [`${integer.format(counts.refused)} not for this model`] : []),
    ...(counts.outside > 0 ? [`${integer.format(counts.outside)} outside the filters`] : []),
    ...(counts.unreadable > 0 ? [`${integer.format(counts.unreadable)} unreadable`] : []),
    ...(counts.gone > 0 ? [`${integer.format(counts.gone)} erased since`] : []),
    ...failed,
    ...(perSecond === null ? [] : [`${rate(perSecond)}/s`]),
    ...(state === 'running' && remainingMs !== null ? [`${duration(remainingMs)} left`] : []),
    ...(givesWayTo === null ? [] : [`gives way to ${givesWayTo}`]),
  ]
  const can = (...states: Replay['state'][]) => states.includes(state)
  return (
    <>
      <progress max={Math.max(1, events)} value={events === 0 ? 1 : counts.read} aria-label="How far it is" />
      <div className="replay-foot">
        <span className="small">
          <b>{stateWords[state]}</b> <span className="muted">{parts.join(' · ')}</span>
        </span>
        <span className="spring" />
        {can('running', 'waiting') && (
          <button type="button" className="button" disabled={busy} onClick={() => void act('pause')}>
            Pause
          </button>
        )}
        {can('paused', 'pausing') && (
          <button type="button" className="button" disabled={busy} onClick={() => void act('resume')}>
            Resume
          </button>
        )}
        {can('running', 'waiting', 'paused', 'pausing') && (
          <button type="button" className="button" disabled={busy} onClick={() => void act('cancel')}>
            Cancel
          </button>
        )}
      </div>
      {error && <p className="small notice">{error.message}</p>}
      {problem && <ProblemNotice problem={problem} />}
    </>
  )
}
