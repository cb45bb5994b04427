import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { FilterBar } from '../feed/filter-bar.tsx'
import { FirstImage } from '../feed/first-image.tsx'
import { FeedList, type FeedListHandle } from '../feed/list.tsx'
import { useKeys } from '../hooks.ts'
import { useLive, useStore } from '../live/context.ts'
import { type Filter, isEmpty, type Key, type Row, readFilter, rowOf, withFilter } from '../live/filter.ts'
import { hrefWith, instanceHref, navigate, usePlace } from '../router.ts'
import { ProblemNotice, SkeletonRows } from '../ui/basics.tsx'

const loadPanel = () => import('./instance.tsx')
const InstancePanel = lazy(() => loadPanel().then(({ InstancePanel }) => ({ default: InstancePanel })))

/** The feed, and beside it (on phones over it) the image that is open. */
export function LiveView({ selected }: { selected: string | null }) {
  const { query } = usePlace()
  const filter = useMemo(() => readFilter(query), [query])
  const rows = useRows(filter)
  const [cursor, setCursor] = useState<string | null>(selected)
  const list = useRef<FeedListHandle>(null)
  const search = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (selected !== null) setCursor(selected)
    else void loadPanel() // so that the first image opens without waiting for its code
  }, [selected])

  const open = useCallback(
    (id: string) => navigate(instanceHref(id, query), { replace: selected !== null }),
    [query, selected],
  )
  const close = useCallback(() => navigate(hrefWith('/', query)), [query])
  const move = (step: number) => {
    const at = rows.findIndex(({ item }) => item.id === cursor)
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))]
    if (!next) return
    setCursor(next.item.id)
    list.current?.reveal(next.item.id)
    if (selected !== null) open(next.item.id)
  }
  function back() {
    if (selected !== null) close()
    else if (!isEmpty(filter)) navigate('/')
    else return false
  }
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    n: () => list.current?.toTop(),
    '/': () => search.current?.focus(),
    Enter: event => {
      // A focused button or link does what it says.
      if (event.target instanceof HTMLElement && event.target.matches('button, a, summary')) return false
      if (cursor === null) return false
      open(cursor)
    },
    Escape: back,
  })
  const setFilter = useCallback(
    (key: Key, value: string) => navigate(hrefWith(location.pathname, withFilter(query, key, value))),
    [query],
  )

  return (
    <div className={selected === null ? 'live-view' : 'live-view with-panel'}>
      <section className="feed-side" aria-label="Live results">
        <FilterBar filter={filter} query={query} search={search} shown={rows.length} />
        <FeedBody
          rows={rows}
          filter={filter}
          list={list}
          cursor={cursor}
          query={query}
          setFilter={setFilter}
          compactAlways={selected !== null}
        />
      </section>
      {selected !== null && (
        <Suspense fallback={<PanelSkeleton />}>
          <InstancePanel id={selected} onClose={close} onMove={move} />
        </Suspense>
      )}
    </div>
  )
}

function PanelSkeleton() {
  return (
    <aside className="panel">
      <SkeletonRows count={3} height={96} />
    </aside>
  )
}

/** Rows that pass the filter; an item whose row is unchanged keeps the very same row object. */
function useRows(filter: Filter): Row[] {
  const items = useLive(({ feed }) => feed.items)
  const cache = useMemo(() => ({ filter, rows: new WeakMap<object, Row | null>() }), [filter])
  return useMemo(
    () =>
      items.flatMap(item => {
        let row = cache.rows.get(item)
        if (row === undefined) {
          row = rowOf(item, cache.filter)
          cache.rows.set(item, row)
        }
        return row ?? []
      }),
    [items, cache],
  )
}

interface BodyProps {
  rows: Row[]
  filter: Filter
  list: React.RefObject<FeedListHandle | null>
  cursor: string | null
  query: URLSearchParams
  setFilter(key: Key, value: string): void
  compactAlways: boolean
}

function FeedBody({ rows, filter, list, ...props }: BodyProps) {
  const store = useStore()
  const history = useLive(snapshot => snapshot.history)
  const problem = useLive(snapshot => snapshot.problem)
  const older = useLive(snapshot => snapshot.older)
  const known = useLive(({ feed }) => feed.items.length)
  if (known === 0) {
    if (history === 'loading') return <SkeletonRows count={12} height={56} />
    if (history === 'failed' && problem) {
      return (
        <div className="pad">
          <ProblemNotice problem={problem} retry={() => void store.loadHistory()} />
        </div>
      )
    }
    return <FirstImage />
  }
  if (rows.length === 0) {
    return (
      <div className="pad nothing">
        <p>None of the {known} newest images passes the filter.</p>
        <div className="actions">
          <button type="button" className="button" onClick={() => navigate('/')}>
            Clear the filter
          </button>
          {older !== null && (
            <button type="button" className="button" onClick={() => void store.loadOlder()}>
              Look in older images
            </button>
          )}
        </div>
      </div>
    )
  }
  return (
    <>
      {problem && (
        <div className="pad">
          <ProblemNotice problem={problem} retry={() => void store.loadHistory()} />
        </div>
      )}
      <FeedList ref={list} key={filterKey(filter)} rows={rows} {...props} />
    </>
  )
}

const filterKey = (filter: Filter) => JSON.stringify(filter)
