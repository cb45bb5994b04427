import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from 'react'
import { useSize } from '../hooks.ts'
import { useLive, useStore } from '../live/context.ts'
import type { Key, Row } from '../live/filter.ts'
import { FeedRow } from './row.tsx'

export interface FeedListHandle {
  reveal(id: string): void
  toTop(): void
}

interface Props {
  ref: React.Ref<FeedListHandle>
  rows: readonly Row[]
  cursor: string | null
  query: URLSearchParams
  setFilter(key: Key, value: string): void
  compactAlways: boolean
}

const rowHeight = 64
const compactHeight = 88
/** Below this width a row has two lines, CSS pixels. */
const compactBelow = 860
/** Rows left below the last one seen when older images are asked for. */
const lookAhead = 20

/**
 * The list, of which only what is in view exists. While it is scrolled, what is being read stays where it is: new rows
 * wait above, and a button offers them.
 */
export function FeedList({ ref, rows, cursor, query, setFilter, compactAlways }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const [measure, { width }] = useSize()
  const [gutter, setGutter] = useState(0)
  const compact = compactAlways || width < compactBelow
  const [head, setHead] = useState<string | null>(null)
  const hidden =
    head === null
      ? 0
      : Math.max(
          0,
          rows.findIndex(({ item }) => item.id === head),
        )
  const shown = hidden === 0 ? rows : rows.slice(hidden)
  const size = compact ? compactHeight : rowHeight
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => size,
    getItemKey: index => shown[index]?.item.id ?? index,
    overscan: 6,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height have to be laid out anew
  useEffect(() => virtual.measure(), [size, virtual])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the scroll bar is measured again with the width
  useLayoutEffect(() => {
    const element = scroller.current
    if (element) setGutter(element.offsetWidth - element.clientWidth)
  }, [width])

  function toTop() {
    setHead(null)
    scroller.current?.scrollTo({ top: 0 })
  }
  useImperativeHandle(ref, () => ({
    toTop,
    reveal(id) {
      const at = shown.findIndex(({ item }) => item.id === id)
      if (at >= 0) virtual.scrollToIndex(at)
      else toTop()
    },
  }))

  function onScroll(event: React.UIEvent<HTMLDivElement>) {
    const { scrollTop } = event.currentTarget
    if (scrollTop > size / 2) setHead(before => before ?? rows[0]?.item.id ?? null)
    else if (hidden === 0) setHead(null)
  }

  const items = virtual.getVirtualItems()
  useOlder(items.at(-1)?.index ?? 0, shown.length)
  return (
    <div className={compact ? 'feed compact' : 'feed'} ref={measure}>
      {!compact && <Headings gutter={gutter} />}
      {hidden > 0 && (
        <button type="button" className="offer" onClick={toTop}>
          {hidden} new
        </button>
      )}
      <div className="scroller" ref={scroller} onScroll={onScroll}>
        <div
          role="feed"
          aria-label="Results, newest first"
          style={{ height: virtual.getTotalSize(), position: 'relative' }}
        >
          {items.map(({ index, key, start }) => {
            const row = shown[index]
            return (
              row && (
                <FeedRow
                  key={key}
                  row={row}
                  top={start}
                  height={size}
                  index={index}
                  count={shown.length}
                  current={row.item.id === cursor}
                  compact={compact}
                  query={query}
                  setFilter={setFilter}
                />
              )
            )
          })}
        </div>
      </div>
    </div>
  )
}

/** @param gutter width of the scroll bar, so that headings stand above their columns */
function Headings({ gutter }: { gutter: number }) {
  return (
    <div className="headings" aria-hidden="true" style={{ marginRight: gutter }}>
      <span />
      <span>Finding</span>
      <span>Score and threshold</span>
      <span>Marks</span>
      <span>Image</span>
      <span>Patient</span>
      <span className="figure">To result</span>
      <span className="figure">Age</span>
    </div>
  )
}

/** Asks for older images when the end comes near. */
function useOlder(last: number, count: number): void {
  const store = useStore()
  const more = useLive(({ older, loadingOlder, problem }) => older !== null && !loadingOlder && problem === null)
  useEffect(() => {
    if (more && last + lookAhead >= count) void store.loadOlder()
  }, [more, last, count, store])
}
