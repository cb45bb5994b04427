/** Counts everything that a Raylog has, by walking its lists to the end. */
import type { Raylog } from './raylog.ts'

interface Page<T> {
  items: T[]
  next: string | null
}

export async function listAll<T>(raylog: Raylog, path: string): Promise<T[]> {
  const all: T[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<T> = await raylog.json(
      `/api/v1/${path}${path.includes('?') ? '&' : '?'}limit=1000${cursor ? `&cursor=${cursor}` : ''}`,
    )
    all.push(...page.items)
    cursor = page.next
  }
  return all
}

export interface Census {
  instances: { id: string; object: { key: string }; dicom: { sopInstance: string } | null }[]
  predictions: { id: string; instance: string; model: { name: string } }[]
  /** Of predictions: those of studies come when a study is complete, which is another matter. */
  reports: { id: string; prediction: string | null }[]
  parked: { id: string; code: string; message: string; subject: string | null }[]
}

export async function census(raylog: Raylog): Promise<Census> {
  const [instances, predictions, reports, parked] = await Promise.all([
    listAll<Census['instances'][number]>(raylog, 'instances'),
    listAll<Census['predictions'][number]>(raylog, 'predictions'),
    listAll<Census['reports'][number]>(raylog, 'reports'),
    listAll<Census['parked'][number]>(raylog, 'parked?state=parked'),
  ])
  return { instances, predictions, reports: reports.filter(({ prediction }) => prediction !== null), parked }
}

/** Nothing is left to do: every stage has committed everything. */
export async function isIdle(
  raylog: Raylog,
  readers: readonly string[] = ['infer', 'persist', 'report', 'notify'],
): Promise<boolean> {
  const { items } = await raylog.json<{ items: { stage: string; lag: number }[] }>('/api/v1/monitoring/lag')
  const stages = new Set(items.map(({ stage }) => stage))
  return readers.every(stage => stages.has(stage)) && items.every(({ lag }) => lag === 0)
}
