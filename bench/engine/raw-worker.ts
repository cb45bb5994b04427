/** The runtime alone, as the engine's workers hold it: one session, one thread, the same input again and again. */
import { InferenceSession, Tensor } from '../../models/runtime/onnxruntime/onnxruntime.ts'

export interface RawOpen {
  type: 'open'
  weights: string
  input: string
  shape: number[]
  providers?: string[]
}

export interface RawRun {
  type: 'run'
  ms: number
}

let session: InferenceSession | undefined
let feeds: Record<string, Tensor> = {}
let images = 0

process.on('message', async (message: RawOpen | RawRun) => {
  if (message.type === 'open') {
    const options = {
      executionProviders: message.providers ?? ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    } as const
    session = await InferenceSession.create(message.weights, options)
    const elements = message.shape.reduce((product, size) => product * size, 1)
    feeds = { [message.input]: new Tensor('float32', new Float32Array(elements).fill(0.5), message.shape) }
    images = message.shape[0] ?? 1
    await session.run(feeds)
    process.send?.({ type: 'opened' })
    return
  }
  let count = 0
  const cpu = process.cpuUsage()
  const began = performance.now()
  while (performance.now() - began < message.ms) {
    await session?.run(feeds)
    count += images
  }
  const { user, system } = process.cpuUsage(cpu)
  const perSecond = (count / (performance.now() - began)) * 1000
  process.send?.({ type: 'ran', perSecond, cpuMs: (user + system) / 1000 / count })
})
process.on('disconnect', () => process.exit(0))
