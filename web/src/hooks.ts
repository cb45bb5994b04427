import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { type Problem, toProblem } from './api/client.ts'
import { age } from './format.ts'

export interface Loaded<T> {
  /** Kept while it is loaded again. */
  value: T | null
  problem: Problem | null
  loading: boolean
  reload(): void
}

/**
 * Loads what `key` names, again when the key changes. An answer that comes after the key has changed is dropped.
 * @param key null loads nothing
 */
export function useLoaded<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{
    key: string | null
    value: T | null
    problem: Problem | null
    loading: boolean
  }>({
    key,
    value: null,
    problem: null,
    loading: key !== null,
  })
  const [again, setAgain] = useState(0)
  const latest = useRef(load)
  latest.current = load
  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks for the same key once more
  useEffect(() => {
    if (key === null) return
    const abort = new AbortController()
    setState(before => ({
      key,
      value: before.key === key ? before.value : null,
      problem: null,
      loading: true,
    }))
    latest.current(abort.signal).then(
      value => {
        if (!abort.signal.aborted) setState({ key, value, problem: null, loading: false })
      },
      (error: unknown) => {
        if (abort.signal.aborted) return
        setState(before => ({ ...before, problem: toProblem(error), loading: false }))
      },
    )
    return () => abort.abort()
  }, [key, again])
  const reload = useCallback(() => setAgain(count => count + 1), [])
  const current = state.key === key
  return {
    value: current ? state.value : null,
    problem: current ? state.problem : null,
    loading: current ? state.loading : key !== null,
    reload,
  }
}

/** The value when it has not changed for so long. */
export function useSettled(value: string, ms: number): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return settled
}

/** One timer for every age on the page; a component renders only when its words change. */
const tickers = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

function everySecond(listener: () => void): () => void {
  tickers.add(listener)
  timer ??= setInterval(() => {
    for (const ticker of tickers) ticker()
  }, 1_000)
  return () => {
    tickers.delete(listener)
    if (tickers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

export function useAge(at: number): string {
  return useSyncExternalStore(everySecond, () => age(Date.now() - at))
}

interface Size {
  width: number
  height: number
}

/** Size of an element in CSS pixels, 0 × 0 before it is measured. */
export function useSize(): [(element: HTMLElement | null) => void, Size] {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 })
  const observer = useRef<ResizeObserver | null>(null)
  const ref = useCallback((element: HTMLElement | null) => {
    observer.current?.disconnect()
    if (!element) return
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight })
    measure()
    observer.current = new ResizeObserver(measure)
    observer.current.observe(element)
  }, [])
  return [ref, size]
}

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    listener => {
      const list = matchMedia(query)
      list.addEventListener('change', listener)
      return () => list.removeEventListener('change', listener)
    },
    () => matchMedia(query).matches,
  )
}

/** Keys pressed outside of fields. `keys` maps KeyboardEvent.key to what it does; a handler that returns false lets it pass. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => unknown>, active = true): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    if (!active) return
    const listener = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return
      if (isField(event.target) || document.querySelector('dialog[open]')) return
      const handler = latest.current[event.key]
      if (handler && handler(event) !== false) event.preventDefault()
    }
    window.addEventListener('keydown', listener)
    return () => window.removeEventListener('keydown', listener)
  }, [active])
}

function isField(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input:not([type=checkbox], [type=range]), textarea, select'))
  )
}
