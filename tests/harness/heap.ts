/** What a process really holds: its memory after a full collection, asked for through Node's inspector. */
import { z } from 'zod'
import type { Raylog } from './raylog.ts'

/** For `nodeFlags`: on a free port, which is said on stderr. */
export const inspectable = '--inspect=127.0.0.1:0'

const answer = z.object({ id: z.int(), error: z.object({ message: z.string() }).optional(), result: z.unknown() })
const usage = z.object({ result: z.object({ value: z.record(z.string(), z.number()) }) })

export interface Held {
  /** Objects and buffers that something still refers to, bytes. */
  live: number
  /** The rest of what is resident: code, stacks, what native libraries keep, bytes. */
  native: number
}

/** Of the process itself, not of those that it started, which was started with `inspectable`. */
export async function heldBy(raylog: Raylog): Promise<Held> {
  // It begins anew once (cli/few-arenas.ts), and those that it starts have inspectors of their own.
  for (const [, address = ''] of raylog.logs().matchAll(/Debugger listening on (ws:\S+)/g)) {
    const held = await heldAt(address).catch(() => undefined) // gone, with the process that it was of
    if (held?.pid === raylog.pid) return held
  }
  throw new Error(`no inspector of the process answers: it is started with ${inspectable}`)
}

async function heldAt(address: string): Promise<Held & { pid: number }> {
  const socket = new WebSocket(address)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const fail = () => {
    for (const { reject } of waiting.values()) reject(new Error('the inspector does not answer'))
  }
  socket.addEventListener('message', ({ data }) => {
    const { id, error, result } = answer.parse(JSON.parse(String(data)))
    if (error) waiting.get(id)?.reject(new Error(error.message))
    else waiting.get(id)?.resolve(result)
  })
  socket.addEventListener('close', fail)
  let last = 0
  function ask(method: string, params: object = {}): Promise<unknown> {
    const asked = Promise.withResolvers<unknown>()
    waiting.set(++last, asked)
    socket.send(JSON.stringify({ id: last, method, params }))
    return asked.promise
  }
  try {
    await new Promise((done, failed) => {
      socket.addEventListener('open', done)
      socket.addEventListener('error', () => failed(new Error(`nobody answers at ${address}`)))
    })
    // Twice: finalizers of the first let go of more.
    for (const _ of [1, 2]) await ask('HeapProfiler.collectGarbage')
    const expression = '({ ...process.memoryUsage(), pid: process.pid })'
    const { value } = usage.parse(await ask('Runtime.evaluate', { expression, returnByValue: true })).result
    const { pid = -1, rss = 0, heapTotal = 0, heapUsed = 0, external = 0 } = value
    return { pid, live: heapUsed + external, native: rss - heapTotal - external }
  } finally {
    socket.close()
  }
}
