import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'

/** Field 19 of /proc/…/stat, after the name, which may hold spaces (proc_pid_stat(5)). */
const niceOf = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])

describe.skipIf(process.platform !== 'linux')('a thread that gives way (needs Linux)', () => {
  it('does so alone: the thread that started it keeps its priority', async () => {
    const giveWay = new URL('./give-way.ts', import.meta.url).href
    const code = `
      const { readFileSync } = require('node:fs')
      const { parentPort } = require('node:worker_threads')
      const stat = () => readFileSync('/proc/thread-self/stat', 'utf8')
      import(${JSON.stringify(giveWay)}).then(({ giveWay }) => {
        const before = stat()
        giveWay()
        parentPort.postMessage({ before, after: stat() })
      })`
    const worker = new Worker(code, { eval: true })
    const { before, after } = await new Promise<{ before: string; after: string }>((done, failed) => {
      worker.once('message', done).once('error', failed)
    })
    expect(niceOf(after)).toBeGreaterThan(niceOf(before))
    expect(niceOf(readFileSync('/proc/thread-self/stat', 'utf8'))).toBe(niceOf(before))
  })
})
