/** What `raylog start` says when it is ready. */
import { relative } from 'node:path'
import type { ModelInfo } from '../models/port.ts'
import { table } from './table.ts'

export interface BannerFacts {
  seconds: number
  /** Where this process says that it lives. */
  health: string
  /** Those that run here, where that is not all of them. */
  stages: readonly string[] | null
  endpoints: Record<string, Record<string, string | number>>
  token: string
  models: readonly ModelInfo[]
  researchUseOnly: boolean
}

export function banner({ seconds, health, stages, endpoints, token, models, researchUseOnly }: BannerFacts): string {
  const { page, dicom, dicomTls, inbox, simulator } = endpoints
  const rows: [string, string][] = []
  if (stages) rows.push(['Stages', stages.join(', ')])
  if (page) rows.push(['Page', `${page.url}/?token=${token}`])
  if (dicom) rows.push(['DICOM', `${dicom.host}:${dicom.port}, AE title ${dicom.aeTitle}`])
  if (dicomTls) rows.push(['DICOM over TLS', `${dicomTls.host}:${dicomTls.port}, AE title ${dicomTls.aeTitle}`])
  if (inbox) rows.push(['Watched folder', relative('.', String(inbox.folder)) || String(inbox.folder)])
  rows.push(page ? ['API', `${page.url}/docs`] : ['Health', health])
  if (simulator) rows.push(['Demo', `${simulator.ratePerSecond} made-up images a second`])
  if (models.length > 0) rows.push(['Models', models.map(describe).join(', ')])
  const lines = [`Raylog is ready (${seconds.toFixed(1)} s)`, '', table(rows), '']
  if (researchUseOnly) lines.push('Research use only: not a medical device.')
  lines.push('Stop with Ctrl+C.')
  return lines.join('\n')
}

const describe = ({ ref, state }: ModelInfo) =>
  `${ref.name}@${ref.version}${state === 'failed' ? ' (failed: see "raylog doctor")' : ''}`
