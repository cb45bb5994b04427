import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { openEmbeddedLog } from './log.ts'

const appender = fileURLToPath(new URL('./fixtures/appender.ts', import.meta.url))

/** Lets a process append until `enough` numbers were answered, then kills it. @returns all that were answered */
async function appendAndKill(folder: string, first: number, enough: number): Promise<number[]> {
  const child = spawn(process.execPath, [appender, folder, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const answered: number[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    answered.push(Number(line))
    if (answered.length === enough) child.kill('SIGKILL')
  }
  const [, signal] = await closed
  expect(signal).toBe('SIGKILL')
  return answered
}

async function numbersIn(folder: string): Promise<{ onLog: Map<number, number>; documents: number }> {
  const log = await openEmbeddedLog({ folder })
  const documents = await openSqliteDocuments({ folder })
  const onLog = new Map<number, number>()
  for (const { partition, low, high } of (await log.topics())[0]?.bounds ?? []) {
    let offset = low
    while (offset < high) {
      const records = await log.read({ topic: 't', partition, offset }, 1000)
      for (const record of records) {
        expect(record.offset).toBe(offset)
        offset += 1
        const { n } = JSON.parse(record.value.toString())
        onLog.set(n, (onLog.get(n) ?? 0) + 1)
      }
    }
  }
  const count = await documents.count('patients')
  await log.close()
  await documents.close()
  return { onLog, documents: count }
}

it('has every answered record and document after each of eight kills, and whole batches only', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-kill-'))
  const answered: number[] = []
  for (let round = 0; round < 8; round++) {
    answered.push(...(await appendAndKill(folder, round * 1_000_000, 300 + round * 171)))
    const { onLog, documents } = await numbersIn(folder)
    expect(answered.filter(n => onLog.get(n) !== 2)).toEqual([])
    expect([...onLog.values()].every(times => times === 2)).toBe(true)
    expect(documents).toBeGreaterThanOrEqual(answered.length)
  }
  await rm(folder, { recursive: true })
})
