/** One worker process, seen from the engine. */
import { type ChildProcess, fork } from 'node:child_process'
import type { DoneMessage, FromWorker, LoadMessage, Opened, OpenMessage } from './protocol.ts'

export interface WorkerEvents {
  opened(models: readonly Opened[]): void
  done(message: DoneMessage): void
  /** The process is gone and all that it said was heard. Called once. */
  ended(reason: string): void
}

export interface WorkerProcess {
  readonly pid: number | undefined
  send(load: LoadMessage): void
  /** At once, whatever it is doing; `ended` follows. */
  kill(): void
  /** Asks it to end by closing the channel. It ends after the load under way; `ended` follows. */
  disconnect(): void
}

/** What a worker wrote before it was open says why it could not open, and no image has been near it. */
const STDERR_CHARS = 2_000

/**
 * Blocks from this size on go back to the system when they are freed, bytes. Left to itself glibc raises the limit with
 * the first large block that is freed, and then keeps what loading a model needed for a moment: of ResNet-50 another 100 MB
 * in each worker.
 */
const GIVEN_BACK_FROM = String(1024 * 1024)

/**
 * A worker's pixels are in memory that is used again, its tensors outside of V8, and its cores are taken: threads of a collector that has
 * little to collect cost half a millisecond an image, room for more young objects 20 MB, and a first look at the old ones
 * that comes late, because the machine is large, 12 MB.
 */
const workerFlags = ['--single-threaded-gc', '--max-semi-space-size=1', '--initial-old-space-size=12']

/** @param open sent when it is known: what a worker is made of is loaded meanwhile */
export function startWorker(open: Promise<OpenMessage>, events: WorkerEvents): WorkerProcess {
  const child = fork(new URL('./worker.ts', import.meta.url), [], {
    serialization: 'advanced',
    // Not the flags of this process: a debugger's port or a test runner's loader is not for the worker.
    execArgv: workerFlags,
    // libvips starts a thread for each core otherwise; here a worker is the unit of parallelism.
    env: { MALLOC_MMAP_THRESHOLD_: GIVEN_BACK_FROM, ...process.env, VIPS_CONCURRENCY: '1' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let isOpen = false
  let written = ''
  let broken = ''
  child.stderr?.setEncoding('utf8')
  child.stderr?.on('data', (text: string) => {
    if (!isOpen) written = (written + text).slice(-STDERR_CHARS)
  })
  child.on('message', (message: FromWorker) => {
    if (message.type === 'done') return events.done(message)
    if (message.type === 'broken') {
      broken = message.reason
      return
    }
    isOpen = true
    written = ''
    events.opened(message.models)
  })
  // A failed send shows as the end of the process, which is handled below.
  child.on('error', error => {
    broken ||= error.message
  })
  whenGone(child, how => events.ended([broken, how, written.trim()].filter(text => text !== '').join(': ')))
  void open.then(message => {
    if (child.connected) child.send(message)
  })
  return {
    pid: child.pid,
    send(load) {
      if (child.connected) child.send(load)
    },
    kill() {
      child.kill('SIGKILL')
    },
    disconnect() {
      if (child.connected) child.disconnect()
    },
  }
}

/** `exit` alone may come before the last messages are read; the channel's end says that there are no more. */
function whenGone(child: ChildProcess, ended: (how: string) => void): void {
  let how: string | undefined
  let channelClosed = false
  const check = () => {
    if (how === undefined || !channelClosed) return
    ended(how)
    how = undefined
  }
  child.once('disconnect', () => {
    channelClosed = true
    check()
  })
  child.once('exit', (code, signal) => {
    how = signal ? `the worker was ended by ${signal}` : `the worker ended with code ${code}`
    if (!child.connected) channelClosed = true
    check()
  })
  child.once('error', error => {
    if (child.pid !== undefined) return
    how = `the worker could not be started: ${error.message}`
    channelClosed = true
    check()
  })
}
