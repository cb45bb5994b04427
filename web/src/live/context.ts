import { createContext, use, useSyncExternalStore } from 'react'
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
