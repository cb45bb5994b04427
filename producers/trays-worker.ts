/** The thread that digests what comes into the trays. It sleeps until there is news, and never takes part in an event loop. */
import { createHash, type Hash, hash } from 'node:crypto'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { controlOf, type Digested, memoryOf, noEnd, type Shared, said } from './trays.ts'

interface Digesting {
  control: Int32Array
  memory: Buffer
  use: number
  done: number
  digest: Hash | undefined
}

const news: Int32Array<SharedArrayBuffer> = workerData
const trays = new Map<number, Digesting>()

function hear({ id, shared }: Shared): void {
  if (!shared) trays.delete(id)
  else trays.set(id, { control: controlOf(shared), memory: memoryOf(shared), use: 0, done: 0, digest: undefined })
}

function digestMore(id: number, tray: Digesting): void {
  const { control, memory } = tray
  const use = Atomics.load(control, said.use)
  if (use !== tray.use) Object.assign(tray, { use, done: 0, digest: createHash('sha256') })
  const end = Atomics.load(control, said.end)
  const filled = Atomics.load(control, said.filled)
  if (!tray.digest) return
  if (filled > tray.done) {
    tray.digest.update(memory.subarray(tray.done, filled))
    tray.done = filled
  }
  if (end === noEnd || end > tray.done) return
  // Fewer bytes than it was told of: a data set that is empty has nothing of its prefix either.
  const sha256 = end < tray.done ? hash('sha256', memory.subarray(0, end)) : tray.digest.digest('hex')
  const digested: Digested = { id, use, sha256 }
  tray.digest = undefined
  parentPort?.postMessage(digested)
}

function hearAll(): void {
  for (;;) {
    const next: { message: Shared } | undefined = parentPort ? receiveMessageOnPort(parentPort) : undefined
    if (!next) return
    hear(next.message)
  }
}

for (;;) {
  const heard = Atomics.load(news, 0)
  hearAll()
  for (const [id, tray] of trays) digestMore(id, tray)
  Atomics.wait(news, 0, heard)
}
