/**
 * A multi-frame object that is larger than the memory that the process may have, whole pipeline on. RAYLOG_LARGE_FRAMES sets
 * how many frames of a megabyte it has: 2148 for 2 GiB.
 */
import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { expect, it } from 'vitest'
import { associate, statusOf } from '../harness/dicom-peer.ts'
import { startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { explicitLittle, secondaryCapture } from './bodies.ts'
import { sendLarge } from './large.ts'

const frames = Number(process.env.RAYLOG_LARGE_FRAMES ?? 700)
const mostMb = 512
const uid = '1.2.9.5'

it(`takes an object of ${frames} MB while it holds less than ${mostMb} MB`, async () => {
  await using raylog = await startRaylog({ nodeFlags: ['--max-old-space-size=256'], set: ['logLevel=warn'] })
  using peer = await associate(raylog.dicomPort, {
    contexts: [{ abstract: secondaryCapture, syntaxes: [explicitLittle] }],
  })
  await sendLarge(peer, uid, frames)
  // Until it is synced; the disk may be slower than the sender.
  expect(statusOf(await peer.next()).status).toBe(0)
  const kept = await until('it is a document', async () => {
    const { items } = await raylog.json<{ items: { object: { key: string; sha256: string; bytes: number } }[] }>(
      '/api/v1/instances?limit=10',
    )
    return items[0]?.object
  })
  const file = join(raylog.data, 'objects', kept.key)
  expect(statSync(file).size).toBe(kept.bytes)
  expect(kept.bytes).toBeGreaterThan(frames * 1_000_000)
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash)
  expect(hash.digest('hex')).toBe(kept.sha256)
  expect(peakMb(raylog.pid)).toBeLessThan(mostMb)
})

/** Most that was ever resident, MB (proc_pid_status(5)). */
const peakMb = (pid: number): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024
