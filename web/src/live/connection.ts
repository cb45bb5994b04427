/** The live connection: joins the room `all`, keeps what was last seen of each partition, and catches up after a loss. */
import { io } from 'socket.io-client'
import { toProblem } from '../api/client.ts'
import { isObject, listOf, toInstance, toJoined, toParked, toPrediction, toPulse, toReport } from '../api/shape.ts'
import type { Store } from './store.ts'

/** Records of each partition shown from before the page was opened, with the routes that the lists do not carry. */
const recent = 100
const caughtUpShownMs = 10_000

/** Connects, and goes on connecting. @returns closes it */
export function connectLive(store: Store): () => void {
  const socket = io({ path: '/live', transports: ['websocket', 'polling'], reconnectionDelayMax: 5_000 })
  const seen: Record<string, number> = {}
  let joinedBefore = false
  /** False until the answer to `join`: what comes before it is replayed, and may be parked no longer. */
  let fresh = false
  let hide: ReturnType<typeof setTimeout> | undefined

  /** Passes an event on, unless its shape is wrong: then one bad event does not stop the page. */
  function on(name: string, take: (message: Record<string, unknown>) => void) {
    socket.on(name, (message: unknown) => {
      if (!isObject(message)) return
      try {
        take(message)
      } catch (error) {
        store.set({ problem: toProblem(error) })
      }
      if (isObject(message.at)) note(message.at)
      if (isObject(message.event) && typeof message.event.study === 'string') store.news.tell(message.event.study)
    })
  }

  function note(at: Record<string, unknown>) {
    const { topic, partition, offset } = at
    if (typeof topic !== 'string' || typeof offset !== 'number') return
    const key = `${topic}:${partition}`
    seen[key] = Math.max(seen[key] ?? -1, offset)
  }

  async function join() {
    const after = joinedBefore ? { after: seen } : {}
    const answer: unknown = await socket.timeout(15_000).emitWithAck('join', { rooms: ['all'], recent, ...after })
    if (isObject(answer) && answer.ok === false) throw new Error(String(answer.detail ?? answer.code))
    const { at, replayed, truncated } = toJoined(answer)
    for (const [key, offset] of Object.entries(at)) seen[key] = Math.max(seen[key] ?? -1, offset)
    fresh = true
    clearTimeout(hide)
    store.set({ connection: 'live', problem: null, caughtUp: joinedBefore ? { count: replayed, truncated } : null })
    if (joinedBefore) hide = setTimeout(() => store.set({ caughtUp: null }), caughtUpShownMs)
    const reload = store.snapshot().history === 'failed' || (joinedBefore && truncated)
    joinedBefore = true
    await (reload ? store.loadHistory() : store.refreshParked())
  }

  socket.on('connect', () => {
    fresh = joinedBefore
    join().catch((error: unknown) => {
      store.set({ problem: toProblem(error), connection: 'lost' })
      // Without its answer to `join` a connection is of no use: begin again.
      if (socket.connected) socket.disconnect().connect()
    })
  })
  socket.on('disconnect', reason => {
    store.set({ connection: 'lost', caughtUp: null })
    // socket.io does not come back by itself when the server closed the connection (bye).
    if (reason === 'io server disconnect') setTimeout(() => socket.connect(), 1_000)
  })
  socket.on('connect_error', error => {
    store.set({ connection: error.message === 'unauthorized' ? 'unauthorized' : 'lost' })
    if (!joinedBefore && store.snapshot().history === 'loading') {
      store.set({ history: 'failed', problem: toProblem(new TypeError(error.message)) })
    }
  })
  on('instance', ({ event, routes }) => {
    const accepted = isObject(routes) ? listOf(String)(routes.accepted) : null
    store.push({ kind: 'instance', event: toInstance(event), accepted, fresh })
  })
  on('prediction', ({ event }) => store.push({ kind: 'prediction', event: toPrediction(event), fresh }))
  on('report', ({ event }) => store.push({ kind: 'report', event: toReport(event) }))
  on('parked', ({ event }) => {
    if (fresh) store.push({ kind: 'parked', event: toParked(event) })
  })
  // What was found in a study, and what people ask of it: whoever shows the study loads it anew.
  on('study', () => undefined)
  on('request', () => undefined)
  on('notification', () => undefined)
  socket.on('pulse', (message: unknown) => {
    try {
      store.pulse(toPulse(message))
    } catch (error) {
      store.set({ problem: toProblem(error) })
    }
  })

  return () => {
    clearTimeout(hide)
    socket.disconnect()
  }
}
