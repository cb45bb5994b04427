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

interface Lag {
  stage: string
  lag: number
  partitions: { high: number }[]
}

/** Nothing is left to do: every stage has committed everything, and nothing came while that was asked, of one after the other. */
export async function isIdle(
  raylog: Raylog,
  readers: readonly string[] = ['infer', 'persist', 'report', 'notify'],
): Promise<boolean> {
  const look = async () => {
    const { items } = await raylog.json<{ items: Lag[] }>('/api/v1/monitoring/lag')
    const stages = new Set(items.map(({ stage }) => stage))
    const idle = readers.every(stage => stages.has(stage)) && items.every(({ lag }) => lag === 0)
    return idle ? items.flatMap(({ partitions }) => partitions.map(({ high }) => high)).join() : null
  }
  const first = await look()
  return first !== null && first === (await look())
}
