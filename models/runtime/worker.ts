/**
 * A worker process: holds a session of every model and answers loads of images, one after another. A process and not a thread,
 * because ONNX Runtime aborts the whole process when its thread is ended during run(), and because a fault in a native
 * decoder must not take the log and the receivers with it (docs/adr).
 */
import { toRaylogError } from '../../schemas/errors.ts'
import { runLoad } from './batch.ts'
import { createFetcher, type Fetched, type Fetcher } from './fetch.ts'
import type { FromWorker, Opened, OpenMessage, ToWorker } from './protocol.ts'
import { openSession, type Session } from './sessions.ts'

/** By the index of the model; undefined for one that could not be opened. */
let sessions: (Session | undefined)[] = []
let fetcher: Fetcher | undefined

function say(message: FromWorker, said?: () => void): void {
  if (process.connected) process.send?.(message, undefined, undefined, said)
}

async function open(message: OpenMessage): Promise<void> {
  const opened: Opened[] = []
  fetcher = createFetcher({ withinMs: message.fetchMs })
  for (const model of message.models) {
    try {
      const session = await openSession(model, message)
      sessions.push(session)
      opened.push({ ok: true, provider: session.provider, passedOver: session.passedOver })
    } catch (thrown) {
      sessions.push(undefined)
      opened.push({ ok: false, reason: toRaylogError(thrown).message })
    }
  }
  say({ type: 'opened', models: opened })
}

/** Begins what is to be fetched, while the load before it may still run. */
function begin(message: ToWorker): (Promise<Fetched> | undefined)[] {
  if (message.type === 'open') return []
  return message.items.map(({ from }) => {
    const coming = 'url' in from ? fetcher?.fetch(from.url) : undefined
    coming?.catch(() => undefined) // heard of by its load, when that is its turn
    return coming
  })
}

async function answer(message: ToWorker, fetched: readonly (Promise<Fetched> | undefined)[]): Promise<void> {
  if (message.type === 'open') return open(message)
  const session = sessions[message.model]
  if (!session) throw new Error(`model ${message.model} is not open`)
  say({ type: 'done', id: message.id, ...(await runLoad(session, message.items, fetched)) })
}

process.title = 'raylog infer worker'
// ONNX Runtime 1.30 takes float16 tensors as Uint16Array only where there is no Float16Array: given one of these, which
// Node-API does not know, it finds no data in it.
Reflect.deleteProperty(globalThis, 'Float16Array')

// One at a time: a load that waits here begins as soon as the one before it is answered.
let last = Promise.resolve()
process.on('message', (message: ToWorker) => {
  const fetched = begin(message)
  last = last
    .then(() => answer(message, fetched))
    .catch((thrown: unknown) => {
      say({ type: 'broken', reason: toRaylogError(thrown).message }, () => process.exit(1))
    })
})
// The engine ends its workers by closing the channel, after they have drained: a Ctrl-C or a service manager's SIGTERM
// reaches the whole group, and must not take the batches that are being drained.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => {
  sessions = []
  process.exit(0)
})
