/** Worklist: which study to read next, why, and how far each is. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { FirstImage } from '../feed/first-image.tsx'
import { time } from '../format.ts'
import { useKeys, useLoaded } from '../hooks.ts'
import { useStudyNews } from '../live/context.ts'
import { followLink, hrefWith, navigate, usePlace } from '../router.ts'
import { Age, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { Choice } from '../ui/fields.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { getWorklist, type WorklistLine, type WorklistQuery } from './api.ts'
import { Marks } from './marks.tsx'
import { priorityLevel, priorityWords, stateWords, studyHref, studyName } from './words.ts'
import './studies.css'

const states = [
  ['open', 'To be read'],
  ['reviewed', 'Reviewed'],
  ['all', 'All'],
] as const

const readQuery = (query: URLSearchParams): WorklistQuery => ({
  state: query.get('state') ?? 'open',
  priority: query.get('priority') ?? '',
  modality: query.get('modality') ?? '',
})

export function WorklistView() {
  const { query } = usePlace()
  const asked = useMemo(() => readQuery(query), [query])
  const list = useLoaded(`worklist ${JSON.stringify(asked)}`, signal => getWorklist(asked, null, signal))
  useStudyNews(null, list.reload)
  const more = useMore(asked, list.value?.next ?? null)
  const lines = useMemo(() => unique([...(list.value?.items ?? []), ...more.items]), [list.value, more.items])
  const cursor = query.get('at')
  const point = useCallback(
    (id: string) => {
      const next = new URLSearchParams(query)
      next.set('at', id)
      navigate(hrefWith('/worklist', next), { replace: true })
      document.getElementById(`line-${id}`)?.scrollIntoView({ block: 'nearest' })
    },
    [query],
  )
  const move = (step: number) => {
    const at = lines.findIndex(({ id }) => id === cursor)
    const next = lines[at < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, at + step))]
    if (next) point(next.id)
  }
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    Enter: event => {
      if (event.target instanceof HTMLElement && event.target.matches('button, a, summary')) return false
      if (cursor === null) return false
      navigate(studyHref(cursor, query))
    },
    Escape: () => (query.size === 0 ? false : navigate('/worklist')),
  })
  return (
    <div className="page">
      <div className="inner worklist">
        <header className="page-head">
          <h1>Worklist</h1>
          <p className="muted">The most urgent first; among those, who waits longest.</p>
        </header>
        <Filters asked={asked} query={query} />
        {list.problem && <ProblemNotice problem={list.problem} retry={list.reload} />}
        {!list.value && list.loading && <SkeletonRows count={8} height={56} />}
        {list.value && lines.length === 0 && <Nothing asked={asked} />}
        {lines.length > 0 && (
          <ol className="lines-list" aria-label="Studies">
            {lines.map(line => (
              <Line key={line.id} line={line} current={line.id === cursor} query={query} />
            ))}
          </ol>
        )}
        {more.problem && <ProblemNotice problem={more.problem} retry={() => void more.load()} />}
        {more.next !== null && (
          <button type="button" className="button" disabled={more.loading} onClick={() => void more.load()}>
            More studies
          </button>
        )}
      </div>
    </div>
  )
}

function unique(lines: readonly WorklistLine[]): WorklistLine[] {
  return [...new Map(lines.map(line => [line.id, line])).values()]
}

/** What follows the first page, asked for page by page. */
function useMore(asked: WorklistQuery, first: string | null) {
  const [state, setState] = useState<{ asked: WorklistQuery; items: WorklistLine[]; next: string | null } | null>(null)
  const [loading, setLoading] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const current = state?.asked === asked ? state : null
  const next = current ? current.next : first
  async function load() {
    if (next === null) return
    setLoading(true)
    setProblem(null)
    try {
      const page = await getWorklist(asked, next)
      setState({ asked, items: [...(current?.items ?? []), ...page.items], next: page.next })
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setLoading(false)
  }
  return { items: current?.items ?? [], next, load, loading, problem }
}

function Filters({ asked, query }: { asked: WorklistQuery; query: URLSearchParams }) {
  const set = (key: keyof WorklistQuery, value: string) => {
    const next = new URLSearchParams(query)
    next.delete('at')
    if (value === '' || (key === 'state' && value === 'open')) next.delete(key)
    else next.set(key, value)
    navigate(hrefWith('/worklist', next))
  }
  return (
    <div className="worklist-filters">
      <Choice name="Which studies" among={states} chosen={asked.state} onChoose={state => set('state', state)} />
      <label>
        <span className="muted small">Priority</span>
        <select className="field" value={asked.priority} onChange={event => set('priority', event.target.value)}>
          <option value="">Any</option>
          <option value="stat">STAT</option>
          <option value="urgent">Urgent</option>
          <option value="routine">Routine</option>
        </select>
      </label>
      <ModalityFilter value={asked.modality} set={value => set('modality', value)} />
    </div>
  )
}

function ModalityFilter({ value, set }: { value: string; set(value: string): void }) {
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = value
  }, [value])
  useKeys({ '/': () => field.current?.focus() })
  const said = () => field.current?.value.trim().toUpperCase() ?? ''
  return (
    <label>
      <span className="muted small">Modality</span>
      <input
        ref={field}
        className="field"
        defaultValue={value}
        placeholder="Any"
        size={6}
        onKeyDown={event => {
          if (event.key === 'Enter') set(said())
          if (event.key === 'Escape') field.current?.blur()
        }}
        onBlur={() => said() !== value && set(said())}
      />
    </label>
  )
}

function Nothing({ asked }: { asked: WorklistQuery }) {
  if (asked.state === 'all' && asked.priority === '' && asked.modality === '') return <FirstImage />
  const filtered = asked.priority !== '' || asked.modality !== ''
  return (
    <div className="notice">
      <h2>
        {filtered ? 'No study passes the filter' : asked.state === 'open' ? 'Nothing is to be read' : 'No study here'}
      </h2>
      <p className="muted">Studies appear here by themselves, with their first image.</p>
      <div className="actions">
        <a className="button" href="/worklist?state=all" onClick={followLink}>
          Show all studies
        </a>
      </div>
    </div>
  )
}

function Line({ line, current, query }: { line: WorklistLine; current: boolean; query: URLSearchParams }) {
  const { id, priority, state, firstAt } = line
  const words = foundWords(line)
  const href = studyHref(id, query)
  return (
    <li
      id={`line-${id}`}
      className={`study-line${current ? ' current' : ''}`}
      {...(current ? { 'aria-current': 'true' as const } : {})}
    >
      <span className={`study-priority priority-${priority}`}>
        <LevelIcon level={priorityLevel[priority]} />
        {priorityWords[priority]}
      </span>
      <span className="study-what">
        <a href={href} onClick={followLink} className="open" title={words}>
          {words}
        </a>
        <span className="small muted">{studyName(line)}</span>
      </span>
      <Marks line={line} />
      <span className="study-age figure small">
        {/* Who has been read waits no longer. */}
        {state === 'reviewed' ? (
          <span className="muted" title={`First image ${time(firstAt)}`}>
            Read
          </span>
        ) : (
          <>
            <span className="hidden">Waits since its first image </span>
            <Age at={firstAt} />
          </>
        )}
      </span>
    </li>
  )
}

/** What was found. That nothing was is said only where a model looked, and no answer is missing. */
function foundWords({ findings, state, predictions, missing }: WorklistLine): string {
  if (findings.length > 0) return findings.map(shortFinding).join(', ')
  if (state === 'gathering') return stateWords.gathering
  if (missing > 0) return predictions > 0 ? 'Nothing found so far, answers are missing' : 'No answer came'
  return predictions > 0 ? 'Nothing found' : 'No model looked at it'
}

/** "pneumonia: Pneumonia" says it twice. */
function shortFinding(finding: string): string {
  const [model = '', label = ''] = finding.split(': ')
  return model.toLowerCase() === label.toLowerCase() ? label : `${label} (${model})`
}
