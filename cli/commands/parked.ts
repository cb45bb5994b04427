/** raylog parked: what stages gave up on, and what to do with it. */
import { z } from 'zod'
import { errorTable, RaylogError } from '../../schemas/errors.ts'
import { type Api, connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

const entry = z.object({
  id: z.string(),
  stage: z.string(),
  subject: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  attempts: z.int(),
  at: z.number(),
})
const page = z.object({ items: z.array(entry), next: z.string().nullable() })

async function all(api: Api, stage?: string): Promise<z.infer<typeof entry>[]> {
  const items: z.infer<typeof entry>[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const query = new URLSearchParams({ state: 'parked', limit: '500' })
    if (stage) query.set('stage', stage)
    if (cursor) query.set('cursor', cursor)
    const answer: z.infer<typeof page> = await api.call('GET', `/api/v1/parked?${query}`, page)
    items.push(...answer.items)
    cursor = answer.next
  }
  return items
}

export async function listParked(sources: SettingSources, flags: { stage?: string; json?: boolean }): Promise<void> {
  const items = await all(connect(sources), flags.stage)
  if (flags.json) return console.log(JSON.stringify(items, null, 2))
  if (items.length === 0) return console.log('Nothing is parked.')
  const rows = items.map(({ id, stage, code, subject, at }) => [
    id,
    stage,
    code,
    subject ?? '-',
    new Date(at).toISOString(),
  ])
  console.log(table(rows, ['ID', 'STAGE', 'CODE', 'OF', 'SINCE']))
  console.log()
  for (const code of new Set(items.map(item => item.code))) {
    const known = Object.entries(errorTable).find(([name]) => name === code)?.[1]
    console.log(`  ${code}: ${known ? `${known.title}. ${known.remedy}` : 'unknown to this version'}`)
  }
}

const ofOne: ReadonlySet<string> = new Set(['bad-request', 'not-found'])

export async function actOnParked(
  sources: SettingSources,
  action: 'retry' | 'drop',
  ids: readonly string[],
): Promise<void> {
  const api = connect(sources)
  const chosen = ids.includes('all') ? (await all(api)).map(item => item.id) : ids
  if (chosen.length === 0) console.log('Nothing is parked.')
  for (const id of chosen) {
    try {
      await api.call('POST', `/api/v1/parked/${encodeURIComponent(id)}/${action}`, z.unknown())
      console.log(`${id} ${action === 'retry' ? 'is tried again' : 'dropped'}`)
    } catch (thrown) {
      // One that cannot be retried, or is gone by now, does not keep the others back.
      if (!(thrown instanceof RaylogError && ofOne.has(thrown.code))) throw thrown
      console.error(`${id}: ${thrown.message}`)
      process.exitCode = 1
    }
  }
}
