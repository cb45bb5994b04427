/** What needs minutes or another process: memory that stays, workers that do not outlive a killed parent. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import { dicomFile, instanceOf, temporaryFolder, testEngine } from './testing.ts'

const hasProc = existsSync('/proc/self/status')

/** Resident memory, MiB (proc_pid_status(5), VmRSS in KiB). */
const residentOf = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024

it.skipIf(!hasProc)('keeps the memory of its workers steady over 20,000 images (needs /proc)', async () => {
  using root = temporaryFolder()
  await using opened = await testEngine(root.path, ['mean', 'classes'], { workers: 1 })
  const objects = Array.from({ length: 8 }, (_, v) =>
    opened.objects.put(
      dicomFile({ rows: 256, columns: 256, bits: 16, sample: i => (i * (v + 1)) & 4095 }),
      'application/dicom',
    ),
  )
  const signal = new AbortController().signal
  async function run(images: number) {
    for (let at = 0; at < images; at += 100) {
      const batch = Array.from({ length: 100 }, (_, i) => {
        const object = objects[i % objects.length]
        if (!object) throw new Error('no object')
        const model = opened.ref(i % 2 === 0 ? 'mean' : 'classes')
        return opened.engine.predict(model, instanceOf(object), { priority: 'routine', signal })
      })
      await Promise.all(batch)
    }
    const [pid = 0] = opened.engine.workers()
    return residentOf(pid)
  }
  const warm = await run(4_000)
  const later = await run(16_000)
  expect(later - warm).toBeLessThan(64)
})

const pidsLine = z.array(z.int()).min(1)

it('leaves no worker behind when its process is killed', async () => {
  using root = temporaryFolder()
  const script = join(root.path, 'parent.ts')
  const testing = JSON.stringify(join(import.meta.dirname, 'testing.ts'))
  writeFileSync(
    script,
    `import { testEngine } from ${testing}
     const { engine } = await testEngine(${JSON.stringify(root.path)}, ['mean'], { workers: 2 })
     while (engine.workers().length < 2) await new Promise(resolve => setImmediate(resolve))
     console.log(JSON.stringify(engine.workers()))`,
  )
  const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(parent.stdout, 'data')
  const pids = pidsLine.parse(JSON.parse(String(line)))
  expect(pids.filter(alive)).toEqual(pids)
  parent.kill('SIGKILL')
  await vi.waitFor(() => expect(pids.filter(alive)).toEqual([]), { timeout: 60_000 })
})

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
