/** Files on their way to Raylog: one request a file, so that each has its own progress and outcome. */
import { type Problem, problemFrom, toProblem, upload } from './api/client.ts'
import { toUploads } from './api/shape.ts'
import type { Uploaded } from './api/types.ts'

export interface Upload {
  readonly key: number
  readonly name: string
  readonly bytes: number
  readonly state: 'waiting' | 'sending' | 'stored' | 'refused'
  /** Share sent, 0..1. */
  readonly sent: number
  /** What came of it; several for a ZIP. */
  readonly results: readonly Uploaded[]
  readonly problem: Problem | null
}

export interface UploadOptions {
  /** A model's name, or null for the routing rules. */
  model: string | null
  /** What a plain image does not say of itself; DICOM brings its own. */
  modality?: string
  bodyPart?: string
}

export interface Uploads {
  list(): readonly Upload[]
  subscribe(listener: () => void): () => void
  add(files: readonly File[], options: UploadOptions): void
  /** Forgets what is finished. */
  clear(): void
}

/** As many at once as leave the browser connections for the page itself. */
const parallel = 3

export function createUploads(): Uploads {
  let list: readonly Upload[] = []
  let nextKey = 1
  let running = 0
  const queue: (() => Promise<void>)[] = []
  const listeners = new Set<() => void>()

  function publish(next: readonly Upload[]) {
    list = next
    for (const listener of listeners) listener()
  }

  const patch = (key: number, change: Partial<Upload>) =>
    publish(list.map(one => (one.key === key ? { ...one, ...change } : one)))

  function pump() {
    while (running < parallel) {
      const job = queue.shift()
      if (!job) return
      running += 1
      void job().finally(() => {
        running -= 1
        pump()
      })
    }
  }

  async function send(key: number, file: File, options: UploadOptions) {
    patch(key, { state: 'sending' })
    try {
      const results = await upload('/instances', formFor(file, options), toUploads, sent => patch(key, { sent }))
      const failed = results.find(({ error }) => error !== null)?.error
      const refused = results.every(({ error }) => error !== null)
      const problem = failed ? problemFrom(failed.status ?? 422, failed.title ?? '', failed) : null
      patch(key, { state: refused ? 'refused' : 'stored', sent: 1, results, problem })
    } catch (error) {
      patch(key, { state: 'refused', problem: toProblem(error) })
    }
  }

  return {
    list: () => list,
    subscribe(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    add(files, options) {
      const added = files.map((file): Upload => {
        const key = nextKey++
        queue.push(() => send(key, file, options))
        return { key, name: file.name, bytes: file.size, state: 'waiting', sent: 0, results: [], problem: null }
      })
      publish([...added, ...list])
      pump()
    },
    clear() {
      publish(list.filter(({ state }) => state === 'waiting' || state === 'sending'))
    },
  }
}

/** Fields stand before the file: the server reads the parts in order. */
export function formFor(file: File, { model, modality, bodyPart }: UploadOptions): FormData {
  const form = new FormData()
  if (model) form.set('model', model)
  if (modality) form.set('modality', modality)
  if (bodyPart) form.set('bodyPart', bodyPart)
  form.set('file', file, file.name)
  return form
}
