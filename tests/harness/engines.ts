/** Engines with real worker processes over the tiny graphs of models/fixtures/graphs, closed after each test. */
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
