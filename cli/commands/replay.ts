/** raylog replay: past images through another version of a model. */
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { type Api, connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'
import { printComparison } from './replay-comparison.ts'
import { gone, goneLines, printFirstGone } from './replay-gone.ts'

export interface StartFlags {
  model: string
  from: string
  to: string
  site?: string[]
  study?: string[]
  modality?: string[]
  rate?: number
  dryRun?: boolean
  detach?: boolean
}

const plan = z.object({
  events: z.int(),
  complete: z.boolean(),
  matched: z.int(),
  accepted: z.int(),
  unreadable: z.int(),
  refused: z.record(z.string(), z.int()),
  objects: z.object({ checked: z.int(), gone: z.int(), first: z.array(gone) }),
  perSecond: z.number().nullable(),
  durationMs: z.number().nullable(),
  productionVersions: z.record(z.string(), z.int()),
})

const replay = z.object({
  id: z.string(),
  model: z.object({ name: z.string(), version: z.string() }),
  from: z.number(),
  to: z.number(),
  state: z.string(),
  events: z.int(),
  counts: z.object({
    read: z.int(),
    outside: z.int(),
    unreadable: z.int(),
    refused: z.int(),
    predicted: z.int(),
    gone: z.int(),
    failed: z.int(),
  }),
  perSecond: z.number().nullable(),
  remainingMs: z.number().nullable(),
  givesWayTo: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})
type Replay = z.infer<typeof replay>

const about = (id: string, action = '') => `/api/v1/replays/${encodeURIComponent(id)}${action && `/${action}`}`
const everyMs = 1_000

export async function startReplay(sources: SettingSources, flags: StartFlags): Promise<void> {
  const api = connect(sources)
  const request = {
    model: flags.model,
    from: flags.from,
    to: flags.to,
    sites: flags.site ?? [],
    studies: flags.study ?? [],
    modalities: flags.modality ?? [],
    ratePerSecond: flags.rate ?? null,
  }
  printPlan(flags.model, await api.call('POST', '/api/v1/replays/plan', plan, request))
  if (flags.dryRun) return console.log('\nA dry run: nothing was changed.')
  const started = await api.call('POST', '/api/v1/replays', replay, request)
  console.log(`\n${started.id} is started. Follow it with "raylog replay list"; it goes on without this command.`)
  if (!flags.detach) await follow(api, started.id)
}

function printPlan(model: string, said: z.infer<typeof plan>): void {
  const production = Object.keys(said.productionVersions).map(version => model.replace(/@.*/, `@${version}`))
  const about = said.complete ? '' : ' (about: there are too many to look at each now)'
  const { checked, gone: missing, first } = said.objects
  const rows = [
    ['in the range', `${said.events} images`],
    ['within the filters', `${said.matched}${about}`],
    ['the model takes', `${said.accepted}`],
    ...Object.entries(said.refused).map(([why, count]) => ['', `not ${count}: ${why}`]),
    ['erased since', checked === 0 ? 'none' : `${missing} of ${checked} that were looked for`],
    ...goneLines(first, missing).map(line => ['', line]),
    ['takes about', said.durationMs === null ? 'not known yet' : duration(said.durationMs)],
    ['is compared with', production.join(', ') || 'nothing: production said nothing then'],
  ]
  console.log(table(rows))
}

/** Until it has ended; a paused one is left. */
async function follow(api: Api, id: string): Promise<void> {
  const ends = ['done', 'cancelled', 'failed', 'paused']
  let last = ''
  for (;;) {
    const now = await api.call('GET', about(id), replay)
    const line = progressOf(now)
    if (line !== last) console.log(line)
    last = line
    if (ends.includes(now.state)) {
      if (now.error) throw new RaylogError('bad-request', `the replay failed: ${now.error.message}`)
      if (now.counts.gone > 0 && now.state !== 'paused') await printFirstGone(api, id, now.counts.gone)
      if (now.state === 'done') await compareReplay(api, id, { settled: true })
      return
    }
    await wait(everyMs)
  }
}

function progressOf({ state, events, counts, perSecond, remainingMs, givesWayTo }: Replay): string {
  const share = events === 0 ? 100 : Math.floor((counts.read / events) * 100)
  const parts = [
    `${share} %`,
    `${counts.predicted} predicted`,
    ...(counts.gone > 0 ? [`${counts.gone} gone`] : []),
    ...(counts.failed > 0 ? [`${counts.failed} failed`] : []),
    ...(perSecond === null || state !== 'running' ? [] : [`${perSecond.toFixed(1)}/s`]),
    ...(remainingMs === null || state !== 'running' ? [] : [`${duration(remainingMs)} left`]),
    ...(givesWayTo === null ? [] : [`gives way to ${givesWayTo}`]),
  ]
  return `${state.padEnd(10)} ${parts.join(', ')}`
}

export async function listReplays(sources: SettingSources): Promise<void> {
  const page = z.object({ items: z.array(replay), next: z.string().nullable() })
  const { items } = await connect(sources).call('GET', '/api/v1/replays?limit=50', page)
  if (items.length === 0) return console.log('There was no replay yet.')
  const rows = items.map(one => [
    one.id,
    `${one.model.name}@${one.model.version}`,
    new Date(one.from).toISOString(),
    new Date(one.to).toISOString(),
    progressOf(one),
  ])
  console.log(table(rows, ['ID', 'MODEL', 'FROM', 'TO', 'STATE']))
}

export async function changeReplay(
  sources: SettingSources,
  action: 'pause' | 'resume' | 'cancel',
  id: string,
): Promise<void> {
  const { state } = await connect(sources).call('POST', about(id, action), replay)
  console.log(`${id} is ${state}`)
}

export async function compareReplay(
  from: SettingSources | Api,
  id: string,
  flags: { json?: boolean; csv?: boolean; settled?: boolean },
): Promise<void> {
  const api = 'call' in from ? from : connect(from)
  if (flags.csv) return console.log((await api.text(about(id, 'comparison.csv'))).trimEnd())
  let text = await api.text(about(id, 'comparison'))
  // The last predictions are on the log, and in the documents a moment later.
  for (let tries = 0; flags.settled && tries < 20 && !isComplete(text); tries++) {
    await wait(everyMs / 2)
    text = await api.text(about(id, 'comparison'))
  }
  console.log(flags.json ? text : printComparison(JSON.parse(text)))
}

const isComplete = (text: string): boolean => z.object({ complete: z.boolean() }).parse(JSON.parse(text)).complete

function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 90) return `${seconds} s`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3_600).toFixed(1)} h`
}
