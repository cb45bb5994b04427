/** raylog retrieve: studies of a peer, pulled in. */
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { RaylogError } from '../../schemas/errors.ts'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

export interface RetrieveFlags {
  from: string
  study?: string[]
  accession?: string[]
  accessions?: string
  priorsOf?: string
  issuer?: string
  before?: string
  modality?: string
  most?: number
  how?: string
  rate?: number
  hours?: string
  detach?: boolean
}

const retrieval = z.object({
  id: z.string(),
  peer: z.string(),
  state: z.string(),
  studies: z.array(
    z.object({
      uid: z.string(),
      state: z.string(),
      expected: z.int().nullable(),
      here: z.int(),
      code: z.string().nullable(),
    }),
  ),
  unknown: z.int(),
  received: z.int(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})
type Retrieval = z.infer<typeof retrieval>

const about = (id: string, action = '') => `/api/v1/retrievals/${encodeURIComponent(id)}${action && `/${action}`}`
const everyMs = 1_000
const ends = ['done', 'cancelled', 'failed', 'paused']

export async function startRetrieval(sources: SettingSources, flags: RetrieveFlags): Promise<void> {
  const api = connect(sources)
  const started = await api.call('POST', '/api/v1/retrievals', retrieval, requestOf(flags))
  console.log(`${started.id} is started. Follow it with "raylog retrieve list"; it goes on without this command.`)
  if (flags.detach) return
  for (let last = ''; ; await wait(everyMs)) {
    const now = await api.call('GET', about(started.id), retrieval)
    const line = progressOf(now)
    if (line !== last) console.log(line)
    last = line
    if (!ends.includes(now.state)) continue
    for (const { uid, state, code } of now.studies) if (state === 'failed') console.log(`  failed: ${uid}  ${code}`)
    if (now.error) throw new RaylogError('bad-request', `the retrieval failed: ${now.error.message}`)
    if (now.studies.some(({ state }) => state === 'failed')) process.exitCode = 1
    return
  }
}

/** A list from a file keeps accession numbers out of the history of the shell, and out of the list of processes. */
function requestOf(flags: RetrieveFlags): Record<string, unknown> {
  const listed = flags.accessions === undefined ? [] : linesOf(flags.accessions === '-' ? 0 : flags.accessions)
  const [from, to] = flags.hours?.split('-') ?? []
  const { issuer, before, modality, most } = flags
  const given = (fields: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return given({
    peer: flags.from,
    studies: flags.study,
    accessionNumbers: [...(flags.accession ?? []), ...listed],
    priors: flags.priorsOf && given({ patientId: flags.priorsOf, issuer, before, modality, most }),
    how: flags.how,
    ratePerSecond: flags.rate,
    hours: flags.hours === undefined ? undefined : { from, to },
  })
}

const linesOf = (file: string | number): string[] =>
  readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '')

function progressOf({ state, studies, received, unknown }: Retrieval): string {
  const done = studies.filter(study => study.state === 'done').length
  const parts = [
    `${done} of ${studies.length} studies`,
    `${received} images came`,
    ...(unknown > 0 ? [`${unknown} accession numbers unknown there`] : []),
  ]
  return `${state.padEnd(10)} ${parts.join(', ')}`
}

export async function listRetrievals(sources: SettingSources): Promise<void> {
  const page = z.object({ items: z.array(retrieval), next: z.string().nullable() })
  const { items } = await connect(sources).call('GET', '/api/v1/retrievals?limit=50', page)
  if (items.length === 0) return console.log('There was no retrieval yet.')
  console.log(
    table(
      items.map(one => [one.id, one.peer, progressOf(one)]),
      ['ID', 'FROM', 'STATE'],
    ),
  )
}

export async function changeRetrieval(
  sources: SettingSources,
  action: 'pause' | 'resume' | 'cancel',
  id: string,
): Promise<void> {
  const { state } = await connect(sources).call('POST', about(id, action), retrieval)
  console.log(`${id} is ${state}`)
}
