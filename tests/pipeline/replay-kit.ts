/** A Raylog with a version of a model in production and another on standby, and images that both judge. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Prediction } from '../../schemas/topics.ts'
import { isIdle, listAll } from '../harness/census.ts'
import { storeAll } from '../harness/cstore.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { smallRadiograph } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

const source = resolve(import.meta.dirname, '../../models/pneumonia')

/** The same weights, read and judged otherwise: what the second version says differs in both directions. */
export function writeVersions(root: string): string {
  const base = JSON.parse(readFileSync(join(source, 'model.json'), 'utf8'))
  const versions = { 1: { threshold: 0.56, resample: 'bicubic' }, 2: { threshold: 0.6, resample: 'nearest' } }
  for (const [version, { threshold, resample }] of Object.entries(versions)) {
    const folder = join(root, `pneumonia-${version}`)
    mkdirSync(folder, { recursive: true })
    cpSync(join(source, 'model.onnx'), join(folder, 'model.onnx'))
    const manifest = {
      ...base,
      version,
      input: { ...base.input, resample },
      output: { ...base.output, threshold },
    }
    writeFileSync(join(folder, 'model.json'), JSON.stringify(manifest))
  }
  return root
}

export interface ReplaySystem extends AsyncDisposable {
  /** Where people ask. */
  raylog: Raylog
  /** Where replays run. */
  runner: Raylog
  /** Sends radiographs of these numbers and waits until all is done with them. */
  send(numbers: readonly number[]): Promise<void>
  /** Removes an object, as retention of the object store does. */
  erase(key: string): Promise<void>
}

/** Version 1 in production, version 2 on standby, and a replay that is taken over soon. */
export const versionSettings = (models: string): string[] => [
  'models.builtIn=false',
  `models.folders=[${writeVersions(models)}]`,
  'models.standby=[pneumonia@2]',
  'replay.beatMs=50',
  'replay.leaseMs=1000',
]

export async function startWithVersions(set: readonly string[] = [], prepare?: (data: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-replay-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  await prepare?.(data)
  const raylog = await startRaylog({
    data,
    // Studies stay open: one that is complete in the middle would look like the replay's doing.
    set: [
      'logLevel=warn',
      'assess-study.idleMs={DX: 86400000}',
      'assess-study.plainIdleMs=86400000',
      ...versionSettings(join(folder, 'models')),
      ...set,
    ],
  })
  return {
    raylog,
    runner: raylog,
    folder,
    erase: async (key: string) => rmSync(join(data, 'objects', key)),
    async send(numbers: readonly number[]) {
      await storeAll(raylog.dicomPort, numbers.map(smallRadiograph))
      await until('every stage is idle', () => isIdle(raylog))
    },
    async [Symbol.asyncDispose]() {
      await raylog[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export interface Replay {
  id: string
  state: string
  events: number
  counts: Record<'read' | 'outside' | 'unreadable' | 'refused' | 'predicted' | 'gone' | 'failed', number>
  term: number
  error: { code: string } | null
}

export const always = { model: 'pneumonia@2', from: 0, to: Date.UTC(2100, 0, 1) }

export async function ask<T>(raylog: Raylog, path: string, body?: object): Promise<T> {
  const response = await raylog.post(`/api/v1/${path}`, body && JSON.stringify(body), {
    ...(body && { 'content-type': 'application/json' }),
  })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

export const replayed = (raylog: Raylog, id: string) => listAll<Prediction>(raylog, `predictions?replay=${id}`)

/** Waits for a state; for `done` also until what it said is in the documents. */
export async function reached(raylog: Raylog, id: string, ...states: string[]): Promise<Replay> {
  return until(`the replay is ${states.join(' or ')}`, async () => {
    const now = await raylog.json<Replay>(`/api/v1/replays/${id}`)
    if (!states.includes(now.state)) return undefined
    if (now.state === 'done' && (await replayed(raylog, id)).length < now.counts.predicted) return undefined
    return now
  })
}

export const noCounts = { read: 0, outside: 0, unreadable: 0, refused: 0, predicted: 0, gone: 0, failed: 0 }

interface Judged {
  auc: { n: number } | null
  accuracy: { value: number; n: number } | null
}
export interface Truth {
  labelled: number
  production: Judged
  candidate: Judged
}

/** Images behind the flips in one direction. */
export async function listFlips(raylog: Raylog, id: string, direction: string): Promise<string[]> {
  const all: string[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = `direction=${direction}&limit=3${cursor && `&cursor=${cursor}`}`
    const page: { items: { instance: string }[]; next: string | null } = await raylog.json(
      `/api/v1/replays/${id}/flips?${query}`,
    )
    all.push(...page.items.map(({ instance }) => instance))
    cursor = page.next
  }
  return all
}
