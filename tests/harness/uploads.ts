/** Uploads over real HTTP; what models say is told by the test. */
import pino from 'pino'
import { afterEach } from 'vitest'
import { z } from 'zod'
import { createHttp } from '../../gateway/http.ts'
import type { Tail } from '../../kafka/ports.ts'
import type { Models } from '../../models/port.ts'
import { createHealth } from '../../monitoring/health.ts'
import { createMetrics } from '../../monitoring/metrics.ts'
import { upload } from '../../producers/upload/stage.ts'
import { platformConfig } from '../../schemas/config.ts'
import { type OpenProducer, openProducer, type ProducerOptions } from './producer.ts'
import { openStores } from './stores.ts'

export const token = 'a-token-for-the-tests'
export const ref = (name: string) => ({ name, version: '1', digest: 'd', runtime: 'onnx' })

/** Two models: `digits` takes what asks for it, `chest` what has the modality DX. */
const models: Pick<Models, 'list' | 'routes'> = {
  list: () =>
    ['digits', 'chest'].map(name => ({
      manifest: { name },
      ref: ref(name),
      state: 'ready',
      reason: null,
    })) as ReturnType<Models['list']>,
  routes: ({ requested, modality }) => [
    { model: ref('digits'), accepted: requested.includes('digits'), reason: 'was not asked for' },
    { model: ref('chest'), accepted: requested.length === 0 && modality === 'DX', reason: 'takes modality DX' },
  ],
}

function createTail() {
  const listeners = new Set<(topic: string, event: never) => void>()
  const tail: Tail = {
    listen(topic, hear) {
      const listener = (name: string, event: never) => {
        if (name === topic.name) hear(event, { topic: name, partition: 0, offset: 0 })
      }
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const tell = (topic: string, event: unknown) => {
    for (const listener of listeners) listener(topic, event as never)
  }
  return { tail, tell, listening: () => listeners.size }
}

/** To be called once in a file. @returns what opens an upload, closed after its test */
export function uploadsPerTest() {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  return async function start(options: ProducerOptions & { http?: object } = {}) {
    const tail = createTail()
    const stores = await openStores()
    const metrics = createMetrics()
    const http = await createHttp({
      config: platformConfig.parse({ http: options.http ?? {} }).http,
      token,
      logger: pino({ level: 'silent' }),
      health: createHealth(),
      metrics,
      researchUseOnly: true,
    })
    const stage: OpenProducer = await openProducer(upload, {
      ...options,
      stores,
      deps: { http, models: { ...models } as Models, tail: tail.tail, ...options.deps },
    })
    const address = await http.listen({ host: '127.0.0.1', port: 0 })
    closing.push(async () => {
      await http.close()
      await stage.close()
      await stores.close()
      metrics.registry.clear()
    })
    const post = (path: string, body: NonNullable<RequestInit['body']>, headers: Record<string, string> = {}) =>
      fetch(`${address}${path}`, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, ...headers } })
    return Object.assign(stage, { post, address, tell: tail.tell, listening: tail.listening })
  }
}

const itemsShape = z.object({
  items: z.array(
    z.object({
      file: z.string(),
      id: z.string().optional(),
      study: z.string().optional(),
      error: z.object({ code: z.string(), remedy: z.string() }).optional(),
    }),
  ),
})
export const itemsOf = async (response: Response) => itemsShape.parse(await response.json()).items
export const problemOf = async (response: Response) =>
  z.object({ code: z.string(), detail: z.string() }).parse(await response.json())

export function form(fields: Record<string, string>, ...files: [name: string, bytes: Uint8Array][]): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  for (const [name, bytes] of files) data.append('file', new Blob([new Uint8Array(bytes)]), name)
  return data
}
