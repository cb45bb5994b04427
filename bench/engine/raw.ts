/** Throughput of ONNX Runtime alone, in as many single-threaded processes as the engine has workers. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'
import type { RawOpen } from './raw-worker.ts'

const ran = z.object({ type: z.literal('ran'), perSecond: z.number(), cpuMs: z.number() })

export interface Raw {
  /** Images a second of all processes together, and the CPU time of an image. */
  measure(ms: number): Promise<{ perSecond: number; cpuMs: number }>
  close(): void
}

export async function openRaw(workers: number, model: Omit<RawOpen, 'type'>): Promise<Raw> {
  const children: ChildProcess[] = []
  for (let i = 0; i < workers; i += 1) {
    children.push(fork(new URL('./raw-worker.ts', import.meta.url), [], { execArgv: [], serialization: 'advanced' }))
  }
  await Promise.all(
    children.map(async child => {
      const opened = once(child, 'message')
      child.send({ type: 'open', ...model })
      await opened
    }),
  )
  return {
    async measure(ms) {
      const rates = children.map(async child => {
        const answered = once(child, 'message')
        child.send({ type: 'run', ms })
        const [message] = await answered
        return ran.parse(message)
      })
      const all = await Promise.all(rates)
      const perSecond = all.reduce((sum, one) => sum + one.perSecond, 0)
      return { perSecond, cpuMs: all.reduce((sum, one) => sum + one.cpuMs * one.perSecond, 0) / perSecond }
    },
    close() {
      for (const child of children) child.disconnect()
    },
  }
}
