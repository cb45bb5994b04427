/** The address is the state: each view, filter and selection can be sent to a colleague. */
import { useSyncExternalStore } from 'react'

export type Route =
  | { view: 'live'; instance: string | null }
  | { view: 'worklist'; study: string | null }
  | { view: 'try' }
  | { view: 'parked' }
  | { view: 'deliveries' }
  | { view: 'models'; model: string | null }
  | { view: 'replay'; replay: string | null }
  | { view: 'notifications'; notice: string | null }
  | { view: 'unknown' }

export interface Place {
  route: Route
  query: URLSearchParams
}

export function parsePath(path: string): Route {
  const [first = '', second, more] = path.split('/').filter(part => part !== '')
  if (more !== undefined) return { view: 'unknown' }
  const id = second === undefined ? null : decodePart(second)
  if (first === '' && id === null) return { view: 'live', instance: null }
  if (first === 'instances') return { view: 'live', instance: id }
  if (first === 'worklist' || (first === 'studies' && id !== null)) return { view: 'worklist', study: id }
  if (first === 'models') return { view: 'models', model: id }
  if (first === 'replay') return { view: 'replay', replay: id }
  if (first === 'notifications') return { view: 'notifications', notice: id }
  if (first === 'try' && id === null) return { view: 'try' }
  if (first === 'parked' && id === null) return { view: 'parked' }
  if (first === 'deliveries' && id === null) return { view: 'deliveries' }
  return { view: 'unknown' }
}

/** A part of a path that is not valid percent-encoding stands for itself. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const listeners = new Set<() => void>()
let current: { href: string; place: Place } | null = null

function read(): Place {
  const href = location.pathname + location.search
  if (current?.href !== href) {
    current = { href, place: { route: parsePath(location.pathname), query: new URLSearchParams(location.search) } }
  }
  return current.place
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  window.addEventListener('popstate', listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener('popstate', listener)
  }
}

export function usePlace(): Place {
  return useSyncExternalStore(subscribe, read)
}

export function navigate(href: string, { replace = false } = {}): void {
  if (href === location.pathname + location.search) return
  if (replace) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  for (const listener of listeners) listener()
}

/** Path with the filters of `query` kept. */
export function hrefWith(path: string, query: URLSearchParams): string {
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}

export const instanceHref = (id: string, query: URLSearchParams) =>
  hrefWith(`/instances/${encodeURIComponent(id)}`, query)

/** For links: plain clicks stay in the page, anything else (new tab, middle button) is the browser's. */
export function followLink(event: React.MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return
  const { pathname, search } = event.currentTarget
  event.preventDefault()
  navigate(pathname + search)
}
