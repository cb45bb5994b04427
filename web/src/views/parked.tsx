import { useState } from 'react'
import { get, nothing, type Problem, post, toProblem } from '../api/client.ts'
import { pageOf, toParked } from '../api/shape.ts'
import type { Parked } from '../api/types.ts'
import { useLoaded } from '../hooks.ts'
import { useLive, useStore } from '../live/context.ts'
import { followLink, instanceHref } from '../router.ts'
import { Age, CodeLink, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'

const noQuery = new URLSearchParams()

/** What a stage could not handle, kept until someone retries or drops it. */
export function ParkedView() {
  const store = useStore()
  const now = useLive(({ pulses }) => `${pulses.at(-1)?.parked ?? 0} ${pulses.at(-1)?.newestParked ?? ''}`)
  const parked = useLoaded(`parked ${now}`, signal => get('/parked?state=parked&limit=200', pageOf(toParked), signal))
  const [done, setDone] = useState<ReadonlyMap<string, 'retried' | 'dropped'>>(new Map())
  const [shown, setShown] = useState<readonly Parked[]>([])
  const items = parked.value?.items ?? shown
  if (parked.value && parked.value.items !== shown) setShown(parked.value.items)
  const rows = items.filter(({ id }) => !done.has(id))
  const settle = (id: string, state: 'retried' | 'dropped') => {
    setDone(before => new Map(before).set(id, state))
    void store.refreshParked().catch((error: unknown) => store.set({ problem: toProblem(error) }))
  }
  return (
    <div className="page">
      <div className="inner">
        <header className="page-head">
          <h1>Parked</h1>
          <p className="muted">
            Events that a stage gave up on. Nothing is lost: retry when the cause is mended, or drop.
          </p>
        </header>
        {parked.problem && <ProblemNotice problem={parked.problem} retry={parked.reload} />}
        {!parked.value && shown.length === 0 && parked.loading && <SkeletonRows />}
        {parked.value && rows.length === 0 && <p className="notice">Nothing is parked.</p>}
        {rows.length > 0 && (
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Cause</th>
                  <th scope="col">What to do</th>
                  <th scope="col">Stage</th>
                  <th scope="col" className="figure">
                    Attempts
                  </th>
                  <th scope="col" className="figure">
                    Age
                  </th>
                  <th scope="col">
                    <span className="hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map(one => (
                  <ParkedRow key={one.id} parked={one} onDone={state => settle(one.id, state)} />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {parked.value?.next && <p className="muted small">The newest 200 are shown.</p>}
      </div>
    </div>
  )
}

function ParkedRow({ parked, onDone }: { parked: Parked; onDone(state: 'retried' | 'dropped'): void }) {
  const [busy, setBusy] = useState(false)
  const [sure, setSure] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  async function act(what: 'retry' | 'drop') {
    setBusy(true)
    setProblem(null)
    try {
      await post(`/parked/${encodeURIComponent(parked.id)}/${what}`, null, nothing)
      onDone(what === 'retry' ? 'retried' : 'dropped')
    } catch (error) {
      setProblem(toProblem(error))
      setBusy(false)
    }
  }
  return (
    <tr>
      <td>
        <b>{parked.title}</b>
        <div className="muted small">{parked.message}</div>
        <CodeLink code={parked.code} />
        {problem && <div className="small">Not done: {problem.message}</div>}
      </td>
      <td className="small">{parked.remedy}</td>
      <td className="small">
        {parked.stage}
        {parked.subject !== null && parked.topic.startsWith('imaging.instances') && (
          <div className="nowrap">
            <a href={instanceHref(parked.subject, noQuery)} onClick={followLink}>
              the image
            </a>
          </div>
        )}
      </td>
      <td className="figure">{parked.attempts}</td>
      <td className="figure small">
        <Age at={parked.at} />
      </td>
      <td>
        <div className="row-actions">
          {sure ? (
            <>
              <button type="button" className="button" disabled={busy} onClick={() => void act('drop')}>
                Drop for good
              </button>
              <button type="button" className="button" onClick={() => setSure(false)}>
                Keep
              </button>
            </>
          ) : (
            <>
              <button type="button" className="button" disabled={busy} onClick={() => void act('retry')}>
                Retry
              </button>
              <button type="button" className="button" disabled={busy} onClick={() => setSure(true)}>
                Drop…
              </button>
            </>
          )}
        </div>
      </td>
    </tr>
  )
}
