/**
 * What the page knows, fed by the log's tail (socket.io) and by the lists. Changes are gathered and shown once a frame;
 * when very many come, a few times a second, so that pictures can be looked at.
 */
import { get, type Problem, toProblem } from '../api/client.ts'
import { itemsOf, pageOf, toInstance, toParked, toPrediction, toReport } from '../api/shape.ts'
import type { Pulse } from '../api/types.ts'
import { createExplainer, type Explain } from './explain.ts'
import { applyChanges, type Change, emptyFeed, type Feed } from './feed.ts'

import { createStudyNews, type StudyNews } from './study-news.ts'

export type Connection = 'connecting' | 'live' | 'lost' | 'unauthorized'

export interface Snapshot {
  feed: Feed
  connection: Connection
  /** What was missed while away, shown for a while after the connection is back. */
  caughtUp: { count: number; truncated: boolean } | null
  /** Oldest first, one a second. */
  pulses: readonly Pulse[]
  history: 'loading' | 'ready' | 'failed'
  problem: Problem | null
  /** Where older images go on; null at the end. */
  older: string | null
  loadingOlder: boolean
}

export interface Store {
  snapshot(): Snapshot
  subscribe(listener: () => void): () => void
  push(change: Change): void
  set(patch: Partial<Omit<Snapshot, 'feed'>>): void
  pulse(pulse: Pulse): void
  /** Loads the newest images, their predictions and reports, and what is parked. */
  loadHistory(): Promise<void>
  loadOlder(): Promise<void>
  refreshParked(): Promise<void>
  explain: Explain
  news: StudyNews
}

const pulsesKept = 300
const pageSize = 100
/** Above this many changes a second the list is refreshed a few times a second only. */
const busyRate = 30
const busyIntervalMs = 400

export function createStore(): Store {
  let snapshot: Snapshot = {
    feed: emptyFeed,
    connection: 'connecting',
    caughtUp: null,
    pulses: [],
    history: 'loading',
    problem: null,
    older: null,
    loadingOlder: false,
  }
  const listeners = new Set<() => void>()
  let waiting: Change[] = []
  let scheduled = false
  let shownAt = 0

  function publish(patch: Partial<Snapshot>) {
    snapshot = { ...snapshot, ...patch }
    for (const listener of listeners) listener()
  }

  function show() {
    scheduled = false
    shownAt = performance.now()
    const changes = waiting
    waiting = []
    if (changes.length > 0) publish({ feed: applyChanges(snapshot.feed, changes) })
  }

  function schedule() {
    if (scheduled) return
    scheduled = true
    const last = snapshot.pulses.at(-1)?.rates
    const busy = last !== undefined && last.received + last.predictions > busyRate
    const delay = Math.max(0, busy ? busyIntervalMs - (performance.now() - shownAt) : 0)
    // A hidden page gets no frames, but must not gather changes without end.
    if (document.hidden) setTimeout(show, 1_000)
    else if (delay > 0) setTimeout(() => requestAnimationFrame(show), delay)
    else requestAnimationFrame(show)
  }

  function push(...changes: Change[]) {
    for (const change of changes) waiting.push(change)
    schedule()
  }

  async function loadPage(cursor: string | null) {
    const from = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const instances = await get(`/instances?limit=${pageSize}${from}`, pageOf(toInstance))
    const changes: Change[] = instances.items.map(event => ({
      kind: 'instance',
      event,
      accepted: null,
      fresh: false,
    }))
    return { changes, next: instances.next }
  }

  /** Predictions and reports of the images just loaded, study by study only where the newest lists do not reach. */
  async function loadSaid(): Promise<Change[]> {
    const [predictions, reports] = await Promise.all([
      get('/predictions?limit=300', itemsOf(toPrediction)),
      get('/reports?limit=300', itemsOf(toReport)),
    ])
    return [
      ...predictions.map((event): Change => ({ kind: 'prediction', event, fresh: false })),
      ...reports.map((event): Change => ({ kind: 'report', event })),
    ]
  }

  async function refreshParked() {
    const events = await get('/parked?state=parked&limit=500', itemsOf(toParked))
    push({ kind: 'parked-now', events })
  }

  return {
    snapshot: () => snapshot,
    subscribe(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    push,
    set: publish,
    pulse(pulse) {
      publish({ pulses: [...snapshot.pulses.slice(-(pulsesKept - 1)), pulse] })
    },
    refreshParked,
    explain: createExplainer(),
    news: createStudyNews(),
    async loadHistory() {
      publish({ history: snapshot.history === 'ready' ? 'ready' : 'loading', problem: null })
      try {
        const [{ changes, next }, said] = await Promise.all([loadPage(null), loadSaid()])
        const feed = applyChanges(snapshot.feed, [...changes, ...said.filter(change => isListed(changes, change))])
        publish({ feed, history: 'ready', older: next })
        await refreshParked()
      } catch (error) {
        publish({ history: snapshot.history === 'ready' ? 'ready' : 'failed', problem: toProblem(error) })
      }
    },
    async loadOlder() {
      if (snapshot.older === null || snapshot.loadingOlder) return
      publish({ loadingOlder: true })
      try {
        const { changes, next } = await loadPage(snapshot.older)
        const said = await predictionsOf(changes)
        publish({ feed: applyChanges(snapshot.feed, [...changes, ...said]), older: next, loadingOlder: false })
      } catch (error) {
        publish({ loadingOlder: false, problem: toProblem(error) })
      }
    },
  }
}

function isListed(instances: readonly Change[], said: Change): boolean {
  if (said.kind !== 'prediction' && said.kind !== 'report') return false
  const id = said.event.instance
  return instances.some(change => change.kind === 'instance' && change.event.id === id)
}

/** Predictions of older images: their studies are asked for, as many at once as a browser opens connections. */
async function predictionsOf(changes: readonly Change[]): Promise<Change[]> {
  const studies = [...new Set(changes.flatMap(change => (change.kind === 'instance' ? change.event.study : [])))]
  const out: Change[] = []
  const worker = async () => {
    for (let study = studies.pop(); study !== undefined; study = studies.pop()) {
      const found = await get(`/predictions?limit=200&study=${encodeURIComponent(study)}`, itemsOf(toPrediction))
      for (const event of found) out.push({ kind: 'prediction', event, fresh: false })
    }
  }
  await Promise.all(Array.from({ length: 6 }, worker))
  return out.filter(said => isListed(changes, said))
}
