/** What the disk allows by itself: the writes of one received image, synced, and nothing else. */
import { closeSync, constants, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { alignedMemory, flags, pageBytes } from '../storage/direct.ts'
import type { Row } from './table.ts'
import { median, quantile, round } from './table.ts'

const slots = 64

/** A file whose blocks are there, open for synced writes past the page cache. */
function prepared(file: string, slotBytes: number): number {
  const zeros = alignedMemory(slotBytes)
  const made = openSync(file, constants.O_WRONLY | constants.O_CREAT | flags.unsynced)
  for (let n = 0; n < slots; n++) writeSync(made, zeros, 0, slotBytes, n * slotBytes)
  fsyncSync(made)
  closeSync(made)
  return openSync(file, constants.O_WRONLY | flags.direct)
}

/**
 * One after the other, as one association waits for each answer.
 * @param bytes of one image
 */
export function syncedWrites(bytes: number, count: number): Row[] {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-disk-'))
  const imageBytes = pageBytes + Math.ceil(bytes / pageBytes) * pageBytes
  const images = prepared(join(folder, 'images'), imageBytes)
  const events = prepared(join(folder, 'events'), pageBytes)
  const memory = alignedMemory(imageBytes).fill(7)
  const measure = (what: string, write: (slot: number) => void): Row => {
    const times: number[] = []
    const { user, system } = process.cpuUsage()
    for (let n = 0; n < count; n++) {
      const began = performance.now()
      write(n % slots)
      times.push(performance.now() - began)
    }
    const cpu = process.cpuUsage({ user, system })
    return {
      what,
      figures: {
        'instances/s': round(1_000 / median(times)),
        'p99 ms': round(quantile(times, 0.99), 1),
        'CPU ms an instance': round((cpu.user + cpu.system) / 1_000 / count, 2),
      },
    }
  }
  const image = (slot: number) => writeSync(images, memory, 0, imageBytes, slot * imageBytes)
  const rows = [
    measure('the disk alone: the bytes synced', image),
    measure('the disk alone: the bytes synced, then an event', slot => {
      image(slot)
      writeSync(events, memory, 0, pageBytes, slot * pageBytes)
    }),
  ]
  closeSync(images)
  closeSync(events)
  rmSync(folder, { recursive: true })
  return rows
}
