/** Replay: past images through another version of a model, and what would have been said. */
import { useEffect } from 'react'
import { useLoaded } from '../hooks.ts'
import { followLink } from '../router.ts'
import { ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { getReplay, listReplays } from './api.ts'
import { ComparisonView } from './comparison.tsx'
import { ReplayForm } from './form.tsx'
import { GoneOf } from './gone.tsx'
import { isUnderWay, nameOf, ReplayList, ReplayProgress } from './list.tsx'
import './replay.css'

const everyMs = 1_000

export function ReplayView({ selected }: { selected: string | null }) {
  return (
    <div className="page">
      <div className="inner replay">{selected === null ? <All /> : <One key={selected} id={selected} />}</div>
    </div>
  )
}

function useRepeated(active: boolean, act: () => void): void {
  useEffect(() => {
    if (!active) return
    const timer = setInterval(act, everyMs)
    return () => clearInterval(timer)
  }, [active, act])
}

function All() {
  const replays = useLoaded('replays', listReplays)
  useRepeated(replays.value?.items.some(isUnderWay) ?? false, replays.reload)
  return (
    <>
      <header className="page-head">
        <h1>Replay</h1>
        <p className="muted">
          Past images through another version of a model, beside what production said at the time.
        </p>
      </header>
      <ReplayForm onStarted={replays.reload} />
      {replays.problem && <ProblemNotice problem={replays.problem} retry={replays.reload} />}
      {!replays.value && replays.loading && <SkeletonRows count={3} />}
      {replays.value && <ReplayList replays={replays.value.items} onChanged={replays.reload} />}
    </>
  )
}

function One({ id }: { id: string }) {
  const replay = useLoaded(`replay ${id}`, signal => getReplay(id, signal))
  useRepeated(replay.value !== null && isUnderWay(replay.value), replay.reload)
  return (
    <>
      <header className="page-head">
        <h1>{replay.value ? nameOf(replay.value) : 'Replay'}</h1>
        <p className="muted">
          <a href="/replay" onClick={followLink}>
            All replays
          </a>
        </p>
      </header>
      {replay.problem && <ProblemNotice problem={replay.problem} retry={replay.reload} />}
      {!replay.value && replay.loading && <SkeletonRows count={4} />}
      {replay.value && (
        <>
          <section className="replay-row" aria-label="Progress">
            <ReplayProgress replay={replay.value} onChanged={replay.reload} />
          </section>
          <ComparisonView replay={replay.value} />
          <GoneOf replay={replay.value} />
        </>
      )}
    </>
  )
}
