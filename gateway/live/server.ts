/** The sockets: who may connect, what they may ask, and what they are sent. */
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { Server } from 'socket.io'
import type { Ports } from '../../kafka/ports.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { openHub } from './hub.ts'
import { type LiveItem, liveTopics } from './items.ts'
import { createLimit } from './limit.ts'
import { type ClientToServer, type JoinAnswer, joinRequest, type ServerToClient } from './messages.ts'
import { beat } from './pulse.ts'
import { createSession, type LiveSocket, type Session } from './session.ts'

export interface LiveOptions {
  app: FastifyInstance
  deps: Pick<Ports, 'log' | 'codec' | 'tail' | 'models' | 'documents' | 'health' | 'metrics'>
  clock: Clock
  logger: Logger
  settings: { maxQueued: number; maxReplay: number; pulseMs: number }
}

export interface Live {
  /** Sends everyone away; they come back to the next process. Safe twice. */
  close(): Promise<void>
}

type IO = Server<ClientToServer, ServerToClient>

const replaysAtOnce = 4

export async function openLive({ app, deps, clock, logger, settings }: LiveOptions): Promise<Live> {
  const topics = liveTopics(deps.models)
  const sessions = new Map<string, Session>()
  const limit = createLimit(replaysAtOnce)
  const stop = new AbortController()
  // The server starts to take sockets at once, but HTTP does not listen before every stage is open.
  const io: IO = createServer(app, stop.signal)
  const hub = await openHub({ ...deps, topics, logger, broadcast: item => broadcast(io, deps.metrics, item) })

  io.on('connection', socket => {
    const { maxQueued, maxReplay } = settings
    const session = createSession({
      socket,
      hub,
      log: deps.log,
      codec: deps.codec,
      topics,
      logger,
      maxQueued,
      maxReplay,
      limit,
    })
    sessions.set(socket.id, session)
    deps.metrics.liveClients.set(sessions.size)
    answerJoins(socket, session)
    socket.on('disconnect', () => {
      session.closed()
      sessions.delete(socket.id)
      deps.metrics.liveClients.set(sessions.size)
    })
  })

  const beating = beat(
    {
      deps,
      clock,
      logger,
      intervalMs: settings.pulseMs,
      heard: hub.heard,
      sockets: () => sessions.size,
      // Nobody needs the pulse of a second ago: a client that is behind goes without.
      send: pulse => io.volatile.emit('pulse', pulse),
    },
    stop.signal,
  )

  async function closeAll(): Promise<void> {
    stop.abort()
    hub.close()
    for (const session of sessions.values()) session.leave('stopping')
    await beating
    // Not io.close(): that would close the HTTP server, which is not ours.
    io.engine.close()
  }
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= closeAll()
    return closing
  }
  // Without this the HTTP server would wait for the sockets.
  app.addHook('preClose', close)
  return { close }
}

function createServer(app: FastifyInstance, stopped: AbortSignal): IO {
  const io: IO = new Server(app.server, {
    path: '/live',
    transports: ['websocket', 'polling'],
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    connectTimeout: 5_000,
    // A join of 100 rooms with the positions of all partitions is a few kB.
    maxHttpBufferSize: 64 * 1024,
    allowRequest(request, answer) {
      const allowed = !stopped.aborted && app.access.fromHere(request.headers)
      answer(allowed ? null : 'forbidden', allowed)
    },
  })
  io.use((socket, next) => {
    const { auth, headers } = socket.handshake
    next(app.access.admits(auth.token, headers) ? undefined : new Error('unauthorized'))
  })
  return io
}

/** Encoded once, however many get it. */
function broadcast(io: IO, metrics: Ports['metrics'], item: LiveItem): void {
  const known = io.sockets.adapter.rooms
  const rooms = item.rooms.filter(room => known.has(room))
  if (rooms.length === 0) return
  for (const room of rooms) {
    metrics.liveMessages.inc({ room: room.split(':', 1)[0] ?? room }, known.get(room)?.size ?? 0)
  }
  item.send(io.to(rooms))
}

function answerJoins(socket: LiveSocket, session: Session): void {
  socket.on('join', async (request, answer) => {
    const parsed = joinRequest.safeParse(request)
    const told: JoinAnswer = parsed.success
      ? await session.join(parsed.data)
      : { ok: false, code: 'bad-request', detail: parsed.error.issues.map(issueText).join('; ') }
    if (typeof answer === 'function') answer(told)
  })
}

const issueText = ({ path, message }: { path: PropertyKey[]; message: string }) => `${path.join('.')}: ${message}`
