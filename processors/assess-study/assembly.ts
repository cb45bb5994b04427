/** From the parts of a study to what is said of it on the log. Pure. */
import type { ModelInfo } from '../../models/port.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { highest } from '../../schemas/study.ts'
import type { StudyAssessed, StudyChanges } from '../../schemas/topics.ts'
import type { State } from './completion.ts'
import { changedFindings, findingsOf, type Parts } from './findings.ts'
import { missingOf } from './parts.ts'
import type { FindingRule } from './settings.ts'

export interface Assembly {
  parts: Parts
  rules: readonly FindingRule[]
  models: readonly ModelInfo[]
  now: number
}

/** The next revision of a study that is complete. */
export function assemble(state: State, { parts, rules, models, now }: Assembly): StudyAssessed {
  const { completed, assessed: before } = state
  if (completed === null) throw new RaylogError('internal', `study ${state.id} is assessed before it is complete`)
  const revision = (before?.revision ?? 0) + 1
  const findings = findingsOf(parts, rules, models)
  const found = findings.filter(({ present }) => present).map(({ priority }) => priority)
  return {
    id: ids.studyRevision(state.id, revision),
    study: state.id,
    site: state.site,
    patient: state.patient,
    modality: state.modality,
    revision,
    series: new Set(parts.images.map(({ series }) => series)).size,
    instances: parts.images.length,
    images: parts.images.map(({ id }) => id),
    ...completed,
    findings,
    missing: missingOf(parts),
    changes: before && changesOf(before, parts, findings),
    priority: highest([state.priority, ...found]),
    firstAt: state.firstAt,
    assessedAt: now,
  }
}

function changesOf(before: StudyAssessed, { images }: Parts, findings: StudyAssessed['findings']): StudyChanges {
  const known = new Set(before.images)
  const came = images.filter(({ id }) => !known.has(id))
  const oldSeries = new Set(images.filter(({ id }) => known.has(id)).map(({ series }) => series))
  const series = [...new Set(came.map(one => one.series))].filter(one => one !== null && !oldSeries.has(one))
  return {
    images: came.map(({ id }) => id),
    series: series.filter(one => one !== null),
    findings: changedFindings(before.findings, findings),
  }
}

/** Whether the next revision would say anything that the one before it does not. */
export function saysMore(next: StudyAssessed, before: StudyAssessed | null): boolean {
  const content = ({ images, findings, missing, priority }: StudyAssessed) =>
    JSON.stringify([images.toSorted(), findings, missing, priority])
  return before === null || content(next) !== content(before)
}
