import { createContext, use, useEffect, useRef, useSyncExternalStore } from 'react'
import type { Snapshot, Store } from './store.ts'

export const StoreContext = createContext<Store | null>(null)

export function useStore(): Store {
  const store = use(StoreContext)
  if (!store) throw new Error('there is no store above this component')
  return store
}

/** A part of what is known; the component renders again only when that part is another value. */
export function useLive<T>(select: (snapshot: Snapshot) => T): T {
  const store = useStore()
  return useSyncExternalStore(store.subscribe, () => select(store.snapshot()))
}

/** However many come, a list is loaded anew this often at most, ms. */
const newsEveryMs = 1_500

/** Calls `act` when something came of the study, or of any where `study` is null; of many at once, once. */
export function useStudyNews(study: string | null, act: () => void): void {
  const { news } = useStore()
  const latest = useRef(act)
  latest.current = act
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let last = Number.NEGATIVE_INFINITY
    function run() {
      timer = undefined
      last = performance.now()
      latest.current()
    }
    const stop = news.listen(of => {
      if (study !== null && of !== study) return
      // A moment later: the documents follow the event.
      timer ??= setTimeout(run, Math.max(300, last + newsEveryMs - performance.now()))
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [news, study])
}
