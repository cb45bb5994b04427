/** Engines with real worker processes over the tiny graphs of models/fixtures/graphs, closed after each test. */
import { createServer } from 'node:http'
import { afterEach } from 'vitest'
import { instanceOf, temporaryFolder, testEngine } from '../../models/testing.ts'
import type { Instance, Priority } from '../../schemas/topics.ts'

export type OpenedEngine = Awaited<ReturnType<typeof testEngine>>
type Options = Parameters<typeof testEngine> extends [string, ...infer Rest] ? Rest : never

/** To be called once in a file. */
export function enginesPerTest() {
  const cleanups: (() => Promise<void> | void)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  })
  const folder = () => {
    const root = temporaryFolder()
    cleanups.push(() => root[Symbol.dispose]())
    return root.path
  }
  return {
    /** Of the test, removed after it. */
    folder,
    async open(...options: Options): Promise<OpenedEngine & { root: string }> {
      const root = folder()
      const opened = await testEngine(root, ...options)
      cleanups.push(() => opened.engine.close())
      return { ...opened, root }
    },
  }
}

export const never = () => new AbortController().signal

export function ask(
  { engine, ref }: OpenedEngine,
  model: string,
  object: Instance['object'],
  priority: Priority = 'routine',
) {
  return engine.predict(ref(model), instanceOf(object), { priority, signal: never() })
}

/** How often workers were started again, by the code of what had ended them. */
export const restarts = async ({ metrics }: OpenedEngine) =>
  Object.fromEntries((await metrics.workerRestarts.get()).values.map(({ labels, value }) => [labels.code, value]))

/** As an object store does, for whoever has the URL. */
export async function serveObjects() {
  const objects = new Map<string, Buffer>()
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(String(request.url))
    const bytes = objects.get(String(request.url).slice(1))
    response.writeHead(bytes ? 200 : 404, { 'content-length': bytes?.length ?? 0 }).end(bytes)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    objects,
    asked,
    presign: async (key: string) => `http://127.0.0.1:${port}/${key}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}
