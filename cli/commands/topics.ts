/** raylog topics: what is on the log, and how far each stage has come. */
import { z } from 'zod'
import type { TopicChange } from '../../kafka/log.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { allTopics } from '../../schemas/topics.ts'
import { openLogAlone } from '../log.ts'
import { connect } from '../running.ts'
import { platformSettings, type SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'
import { table } from '../table.ts'

const topicList = z.object({
  items: z.array(
    z.object({ name: z.string(), partitions: z.int(), bounds: z.array(z.object({ low: z.int(), high: z.int() })) }),
  ),
})
const lagList = z.object({ items: z.array(z.object({ stage: z.string(), topic: z.string(), lag: z.int() })) })

export async function showTopics(sources: SettingSources, { schema }: { schema?: string }): Promise<void> {
  if (schema !== undefined) return printSchema(schema)
  const { mode } = platformSettings(sources)
  const { topics, lags } = mode === 'embedded' ? await askRunning(sources) : await askBrokers(sources)
  const rows = topics.map(({ name, partitions, bounds }) => {
    const kept = bounds.reduce((sum, { low, high }) => sum + high - low, 0)
    const behind = lags.filter(({ topic }) => topic === name).map(({ stage, lag }) => `${stage} ${lag}`)
    return [name, String(partitions), String(kept), behind.join(', ')]
  })
  console.log(table(rows, ['TOPIC', 'PARTITIONS', 'EVENTS', 'LAG BY STAGE']))
}

interface State {
  topics: z.infer<typeof topicList>['items']
  lags: z.infer<typeof lagList>['items']
}

/** An embedded log is the running process's alone. */
async function askRunning(sources: SettingSources): Promise<State> {
  const api = connect(sources)
  const [topics, lags] = await Promise.all([
    api.call('GET', '/api/v1/log/topics', topicList),
    api.call('GET', '/api/v1/monitoring/lag', lagList),
  ])
  return { topics: topics.items, lags: lags.items }
}

async function askBrokers(sources: SettingSources): Promise<State> {
  await using opened = await openLogAlone(sources, { make: false })
  const { log } = opened
  const lags = await Promise.all(
    (await log.groups()).filter(isStage).map(async stage => {
      const byTopic = Map.groupBy(await log.lag(stage), ({ topic }) => topic)
      return [...byTopic].map(([topic, of]) => ({ stage, topic, lag: of.reduce((sum, { lag }) => sum + lag, 0) }))
    }),
  )
  return { topics: await log.topics(), lags: lags.flat() }
}

/** Groups of other systems, and of stages that are no more, are nobody's lag. */
const isStage = (group: string): boolean => allStages.some(({ name }) => name === group)

/** What the settings ask for and the log does not have. Changes nothing. */
export async function planTopics(sources: SettingSources): Promise<void> {
  await using opened = await openLogAlone(sources, { make: false })
  const changes = await opened.log.planTopics(opened.plan.topics)
  printPlan(changes)
  if (changes.some(isDone(true))) console.log('\nNothing was changed. "raylog topics apply" does it.')
  sayWhatStays(changes, isDone(false))
}

/** Prints the plan, then does it. What lets the log delete records is done where `allowLoss` is true. */
export async function applyTopics(sources: SettingSources, { allowLoss }: { allowLoss: boolean }): Promise<void> {
  await using opened = await openLogAlone(sources, { make: true })
  const { log, plan } = opened
  const changes = await log.planTopics(plan.topics)
  printPlan(changes)
  const done = changes.filter(isDone(allowLoss))
  if (done.length > 0) {
    await log.applyTopics(plan.topics, done)
    console.log(`\nDone: ${done.length} of ${changes.length}.`)
  }
  sayWhatStays(changes, isDone(allowLoss))
}

const isDone = (allowLoss: boolean) => (change: TopicChange) =>
  change.kind !== 'refused' && (allowLoss || !(change.kind === 'configure' && change.loses))

function printPlan(changes: readonly TopicChange[]): void {
  if (changes.length === 0) console.log('The topics are as the settings say.')
  else console.log(table(changes.map(change => [change.topic, ...wordsOf(change)])))
}

function sayWhatStays(changes: readonly TopicChange[], isDone: (change: TopicChange) => boolean): void {
  const stays = changes.filter(change => !isDone(change))
  if (stays.length === 0) return
  process.exitCode = 1
  if (stays.some(({ kind }) => kind === 'configure'))
    console.log(
      '\nWhat LOSES RECORDS lets the log delete records that it keeps now: "raylog topics apply --allow-loss" does it too.',
    )
}

function wordsOf(change: TopicChange): [string, string] {
  switch (change.kind) {
    case 'create':
      return ['to be made', `${change.partitions} partitions`]
    case 'add-partitions':
      return ['to be widened', `${change.from} to ${change.to} partitions`]
    case 'configure':
      return [change.loses ? 'LOSES RECORDS' : 'to be set', `${change.name}: ${change.from || 'unset'} to ${change.to}`]
    case 'refused':
      return ['REFUSED', change.reason]
  }
}

function printSchema(name: string): void {
  const topic = allTopics.find(candidate => candidate.name === name)
  if (!topic) throw new RaylogError('not-found', `no topic ${name}; there are ${allTopics.map(t => t.name).join(', ')}`)
  console.log(JSON.stringify(topic.schema, null, 2))
}
