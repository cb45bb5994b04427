/** A gateway on real stores in a folder of its own, asked over real HTTP and sockets. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import sharp from 'sharp'
import { io, type Socket } from 'socket.io-client'
import { afterEach } from 'vitest'
import { createHttp, listen } from '../../gateway/http.ts'
import type { At, JoinAnswer, ServerToClient } from '../../gateway/live/messages.ts'
import { gateway } from '../../gateway/stage.ts'
import { createCodec } from '../../kafka/codec.ts'
import { openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import { openTail } from '../../kafka/tail.ts'
import type { ModelInfo } from '../../models/port.ts'
import { systemClock } from '../../monitoring/clock.ts'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { platformConfig } from '../../schemas/config.ts'
import { allTopics, type EventOf, type Topic } from '../../schemas/topics.ts'
import { openSecrets } from '../../storage/file-secrets.ts'
import { openFolderObjects } from '../../storage/folder-objects.ts'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { chest, chestModel } from './samples.ts'

export const token = 'a-token-of-more-than-16-characters'
export const bearer = { authorization: `Bearer ${token}` }

const logger = pino({ level: process.env.RAYLOG_TEST_LOG ?? 'silent' })

export interface StartOptions {
  /** Settings of the stage. */
  settings?: Record<string, unknown>
  showNames?: boolean
  peers?: object[]
  /** A store that the caller closes; a folder otherwise. */
  objects?: Ports['objects']
}

export type Started = Awaited<ReturnType<typeof startGateway>>

export async function startGateway({
  settings = {},
  showNames = false,
  peers = [],
  objects: given,
}: StartOptions = {}) {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'raylog-gateway-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const keep = <T extends { close(): Promise<void> }>(port: T): T => stack.adopt(port, opened => opened.close())
  const log = keep(await openEmbeddedLog({ folder: join(folder, 'log'), trimEveryMs: null }))
  const documents = keep(await openSqliteDocuments({ folder: join(folder, 'documents') }))
  const objects = given ?? keep(await openFolderObjects({ folder: join(folder, 'objects') }))
  const secrets = await openSecrets(folder, { token })
  await log.ensureTopics(
    allTopics.map(({ name, partitions }) => ({ name, partitions, retention: { maxAgeMs: null, maxBytes: null } })),
  )
  const codec = createCodec(log)
  const { tail, gate } = gated(keep(await openTail(log, codec, logger)))
  const health = createHealth()
  const metrics = createMetrics()
  const config = platformConfig.parse({ http: { port: 0 } }).http
  const http = keep(await createHttp({ config, token, logger, health, metrics, researchUseOnly: true }))
  const previews = { made: 0 }
  const ports: Ports = {
    log,
    codec,
    tail,
    documents,
    objects,
    secrets,
    health,
    metrics,
    http,
    models: chest([chestModel()]),
    images: picture(previews),
    endpoints: endpoints(),
  }
  const platform = {
    site: 'main',
    clock: systemClock,
    logger,
    dataFolder: folder,
    showNames,
    researchUseOnly: true,
    network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
  }
  const deps = Object.fromEntries(gateway.needs.map(name => [name, ports[name]]))
  const stage = await gateway.open({
    ...platform,
    config: gateway.config.parse(settings),
    deps,
    publish,
    signal: AbortSignal.timeout(600_000),
  })
  const closeStage = async () => stage.close?.()
  stack.defer(closeStage)
  const { url } = await listen(http, config)
  const sockets: Socket[] = []
  stack.defer(async () => {
    for (const socket of sockets) socket.close()
  })

  /** Encodes and appends; durable when it resolves. */
  async function publish<T extends Topic>(topic: T, ...events: EventOf<T>[]): Promise<At[]> {
    const records = await Promise.all(
      events.map(async event => {
        const key: unknown = Reflect.get(Object(event), topic.keyField)
        return { topic: topic.name, key: String(key), value: await codec.encode(topic, event) }
      }),
    )
    return log.append(records)
  }

  const ask = (path: string, init: RequestInit = {}) =>
    fetch(new URL(path, url), { ...init, headers: { ...bearer, ...Object.fromEntries(new Headers(init.headers)) } })

  function connect(options: Parameters<typeof io>[1] = {}): Client {
    const socket: Client = io(url, {
      path: '/live',
      transports: ['websocket'],
      forceNew: true,
      reconnectionDelay: 10,
      reconnectionDelayMax: 50,
      auth: { token },
      ...options,
    })
    sockets.push(socket)
    return socket
  }

  const closing = stack.move()
  return {
    ...ports,
    ports,
    platform,
    folder,
    url,
    previews,
    gate,
    publish,
    ask,
    connect,
    stage,
    closeStage,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** For a file whose tests open gateways of their own: each is closed when its test is over. */
export function startsGateways(): (options?: StartOptions) => Promise<Started> {
  const open: Started[] = []
  afterEach(async () => {
    for (const gateway of open.splice(0)) await gateway[Symbol.asyncDispose]()
  })
  return async options => {
    const gateway = await startGateway(options)
    open.push(gateway)
    return gateway
  }
}

export type Client = Socket<ServerToClient, { join: (request: unknown, answer: (told: JoinAnswer) => void) => void }>

export const tryJoin = (socket: Client, request: unknown): Promise<JoinAnswer> =>
  new Promise(resolve => socket.emit('join', request, resolve))

/** Joins, or fails the test with what the gateway said. */
export async function joined(socket: Client, request: unknown) {
  const told = await tryJoin(socket, request)
  if (!told.ok) throw new Error(`${told.code}: ${told.detail}`)
  return told
}

/** A tail that can be held back, as one over a network is: the log is ahead of it for a while. */
function gated(tail: Ports['tail']) {
  let held: (() => void)[] | undefined
  const gate = {
    hold() {
      held = []
    },
    release() {
      const waiting = held ?? []
      held = undefined
      for (const deliver of waiting) deliver()
    },
    waiting: () => held?.length ?? 0,
  }
  const slow: Ports['tail'] = {
    listen: (topic, hear) =>
      tail.listen(topic, (event, at) => (held ? void held.push(() => hear(event, at)) : hear(event, at))),
  }
  return { tail: slow, gate }
}

function picture(previews: { made: number }): Ports['images'] {
  return {
    describe: () => Promise.reject(new Error('not asked for here')),
    attributes: () => Promise.reject(new Error('not asked for here')),
    dicom: {
      header: () => Promise.reject(new Error('not asked for here')),
      bulk: () => Promise.reject(new Error('not asked for here')),
      frames: () => Promise.reject(new Error('not asked for here')),
      transcodesTo: () => [],
      transcode: () => Promise.reject(new Error('not asked for here')),
    },
    async preview(_object, { size = 64 } = {}) {
      previews.made++
      return sharp({ create: { width: size, height: size, channels: 3, background: '#888' } })
        .png()
        .toBuffer()
    },
    maxDeidentified: 0,
    deidentifies: () => undefined,
    deidentify: () => Promise.reject(new Error('not asked for here')),
    close: () => Promise.resolve(),
  }
}

function endpoints(): Ports['endpoints'] {
  const known = new Map<string, Record<string, string | number>>()
  return { set: (name, value) => void known.set(name, value), all: () => Object.fromEntries(known) }
}

export type { ModelInfo }
