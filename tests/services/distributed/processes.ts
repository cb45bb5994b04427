/** Raylog as several processes, each with its own data folder and some of the stages; the secrets are shared. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Raylog, startRaylog } from '../../harness/raylog.ts'
import type { Services } from './services.ts'

/** The processes of docker-compose.yml and docs/distributed.md, by the same names: tests/deploy.test.ts holds them to each other. */
export const usualGroups = {
  intake: ['dimse', 'watch', 'retrieve'],
  infer: ['infer'],
  replay: ['replay'],
  results: ['assess-study', 'expect-images', 'persist', 'report', 'deliver', 'notify', 'audit', 'syslog'],
  gateway: ['gateway', 'upload', 'dicomweb'],
} as const

/** Every stage in a process of its own, but for producers beside whoever shares their port or folder, and what audits. */
export const apart = {
  intake: ['dimse', 'watch', 'retrieve'],
  gateway: ['gateway', 'upload'],
  infer: ['infer'],
  studies: ['assess-study', 'expect-images'],
  persist: ['persist'],
  report: ['report'],
  notify: ['notify'],
  others: ['deliver', 'audit', 'syslog'],
} as const

export interface Processes<G extends string> extends AsyncDisposable {
  readonly of: Readonly<Record<G, Raylog>>
  readonly all: readonly Raylog[]
  /** One more process with these stages; ended with the others. */
  add(name: string, stages: readonly string[]): Promise<Raylog>
  /** Holds a folder for each process, by its name. */
  readonly folder: string
}

/** Starts all of them at once, as an orchestrator does. The caller disposes. */
export async function startProcesses<const G extends string>(
  services: Services,
  groups: Readonly<Record<G, readonly string[]>>,
  {
    set = [],
    secrets: given,
    nodeFlags = [],
  }: {
    set?: readonly string[]
    /** Their folder; a new one otherwise. */
    secrets?: string
    nodeFlags?: readonly string[]
  } = {},
): Promise<Processes<G>> {
  const folder = mkdtempSync(join(tmpdir(), 'raylog-distributed-'))
  const secrets = given ?? join(folder, 'secrets')
  const all: Raylog[] = []

  async function add(name: string, stages: readonly string[]): Promise<Raylog> {
    const data = join(folder, name)
    mkdirSync(data)
    const settings = [...services.settings, `secrets.folder=${secrets}`, 'models.workers=1', ...set]
    const raylog = await startRaylog({ data, secrets, set: settings, nodeFlags, args: ['--stages', stages.join(',')] })
    all.push(raylog)
    return raylog
  }

  async function dispose(): Promise<void> {
    await Promise.all(all.map(raylog => raylog[Symbol.asyncDispose]()))
    rmSync(folder, { recursive: true, force: true })
  }

  const names = Object.keys(groups) as G[]
  const started = await Promise.allSettled(names.map(async name => [name, await add(name, groups[name])] as const))
  const failed = started.find(one => one.status === 'rejected')
  if (failed) {
    await dispose()
    throw failed.reason
  }
  const entries = started.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
  return {
    of: Object.fromEntries(entries) as Record<G, Raylog>,
    all,
    add,
    folder,
    [Symbol.asyncDispose]: dispose,
  }
}
