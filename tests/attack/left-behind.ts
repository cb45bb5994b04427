/** What a Raylog has open, by the kernel's own account, and what it has on disk. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Raylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'

/** Whatever the kernel says that the process has open, by kind; the store's folders are opened as they are met, and stay so. */
export function openFiles(raylog: Raylog): Record<string, number> {
  const found: Record<string, number> = { socket: 0, pipe: 0, anon_inode: 0, file: 0 }
  for (const fd of readdirSync(`/proc/${raylog.pid}/fd`)) {
    const link = join(`/proc/${raylog.pid}/fd`, fd)
    const target = existsSync(link) ? readlinkSync(link) : ''
    const kind = /^(socket|pipe|anon_inode)/.exec(target)?.[0] ?? 'file'
    if (!/objects\/[0-9a-f]{2}$/.test(target)) found[kind] = (found[kind] ?? 0) + 1
  }
  return found
}

/** Connections to the DICOM port that it has not let go of (proc_net_tcp(5): 06 is TIME_WAIT, 0A listens). */
export function connections(raylog: Raylog): number {
  const port = raylog.dicomPort.toString(16).toUpperCase().padStart(4, '0')
  const lines = readFileSync(`/proc/${raylog.pid}/net/tcp`, 'utf8').split('\n').slice(1)
  const ours = lines.map(line => line.trim().split(/\s+/)).filter(([, local]) => local?.endsWith(`:${port}`))
  return ours.filter(([, , , state = '06']) => state !== '06' && state !== '0A').length
}

/** Files of the object store, but for those that are only being made. */
export const objectFiles = (raylog: Raylog) =>
  readdirSync(join(raylog.data, 'objects'))
    .filter(name => /^[0-9a-f]{2}$/.test(name))
    .flatMap(shard => readdirSync(join(raylog.data, 'objects', shard)).map(name => `${shard}/${name}`))

/** Every stage has committed all that there is. */
export async function idle(raylog: Raylog): Promise<void> {
  const lags = async () => {
    const { items } = await raylog.json<{ items: { lag: number }[] }>('/api/v1/monitoring/lag')
    return items.length > 0 && items.every(({ lag }) => lag === 0)
  }
  await until('nothing is left to do', async () => (await lags()) && (await lags()), { deadlineMs: 300_000 })
}
