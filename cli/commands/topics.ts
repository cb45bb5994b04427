/** raylog topics: what is on the log, and how far each stage has come. */
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { allTopics } from '../../schemas/topics.ts'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

const topicList = z.object({
  items: z.array(
    z.object({ name: z.string(), partitions: z.int(), bounds: z.array(z.object({ low: z.int(), high: z.int() })) }),
  ),
})
const lagList = z.object({ items: z.array(z.object({ stage: z.string(), topic: z.string(), lag: z.int() })) })

export async function showTopics(sources: SettingSources, { schema }: { schema?: string }): Promise<void> {
  if (schema !== undefined) return printSchema(schema)
  const api = connect(sources)
  const [topics, lags] = await Promise.all([
    api.call('GET', '/api/v1/log/topics', topicList),
    api.call('GET', '/api/v1/monitoring/lag', lagList),
  ])
  const rows = topics.items.map(({ name, partitions, bounds }) => {
    const kept = bounds.reduce((sum, { low, high }) => sum + high - low, 0)
    const behind = lags.items.filter(({ topic }) => topic === name).map(({ stage, lag }) => `${stage} ${lag}`)
    return [name, String(partitions), String(kept), behind.join(', ')]
  })
  console.log(table(rows, ['TOPIC', 'PARTITIONS', 'EVENTS', 'LAG BY STAGE']))
}

function printSchema(name: string): void {
  const topic = allTopics.find(candidate => candidate.name === name)
  if (!topic) throw new RaylogError('not-found', `no topic ${name}; there are ${allTopics.map(t => t.name).join(', ')}`)
  console.log(JSON.stringify(topic.schema, null, 2))
}
