/** Which images of a replay are gone: the first of them beside its plan and its end, all of them by `raylog replay gone`. */
import { z } from 'zod'
import { type Api, connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

export const gone = z.object({
  instance: z.string(),
  study: z.string(),
  site: z.string(),
  modality: z.string().nullable(),
  object: z.string(),
  receivedAt: z.number(),
})
type Gone = z.infer<typeof gone>

const page = z.object({ items: z.array(gone), next: z.string().nullable() })
const shown = 10

const pathOf = (id: string, limit: number, cursor: string | null) =>
  `/api/v1/replays/${encodeURIComponent(id)}/gone?limit=${limit}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`

/** @param count of all that are gone @param all what says the others */
export function goneLines(first: readonly Gone[], count: number, all?: string): string[] {
  const lines = first.slice(0, shown).map(({ instance, study }) => `${instance} of study ${study}`)
  const more = count - lines.length
  return more > 0 ? [...lines, `and ${more} more${all === undefined ? '' : `: ${all}`}`] : lines
}

/** The first images that a replay found gone, for its end. */
export async function printFirstGone(api: Api, id: string, count: number): Promise<void> {
  const { items } = await api.call('GET', pathOf(id, shown, null), page)
  const lines = goneLines(items, count, `raylog replay gone ${id}`)
  console.log(`\nErased since, so not judged again:\n${lines.map(line => `  ${line}`).join('\n')}\n`)
}

export async function listGone(sources: SettingSources, id: string, flags: { json?: boolean }): Promise<void> {
  const api = connect(sources)
  const all: Gone[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { items, next }: z.infer<typeof page> = await api.call('GET', pathOf(id, 1_000, cursor || null), page)
    all.push(...items)
    cursor = next
  }
  if (flags.json) return console.log(JSON.stringify(all, null, 2))
  if (all.length === 0) return console.log('None that this replay met was erased.')
  const rows = all.map(one => [
    one.instance,
    one.study,
    one.site,
    one.modality ?? '-',
    new Date(one.receivedAt).toISOString(),
  ])
  console.log(table(rows, ['IMAGE', 'STUDY', 'SITE', 'MODALITY', 'RECEIVED']))
}
