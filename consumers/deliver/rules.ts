/** Which reports a destination is given: those that any of its rules fits. */
import { z } from 'zod'
import type { Report } from '../../schemas/topics.ts'

const words = z.array(z.string().min(1)).max(1_000).default([])

export const rule = z.strictObject({
  formats: words.describe('dicom-sr, pdf, fhir, hl7 …; empty: all that the destination can be given'),
  sites: words.describe('empty: all'),
  peers: words.describe(
    'some image that it is about came from one of these, by their names in `peers`; empty: from anywhere',
  ),
  models: words.describe('some result is of one of these, NAME or NAME@VERSION; empty: all'),
  modalities: words.describe('empty: all'),
  labels: words.describe('some result has one of these labels; empty: all'),
  present: z
    .boolean()
    .nullable()
    .default(null)
    .describe('true: some result (with one of `labels`, where there are) was found; false: none was; null: either'),
  priorities: z
    .array(z.enum(['routine', 'urgent', 'stat']))
    .default([])
    .describe('of the study; empty: all'),
  revisions: z.enum(['any', 'first', 'later']).default('any').describe('of the study; one image counts as first'),
})

export type Rule = z.infer<typeof rule>

/** What a rule looks at beside the event, from the documents. */
export interface Facts {
  modality: string | null
  priority: string
  /** Names of the peers that sent the images, where a rule asks for them. */
  peers?: ReadonlySet<string>
  findings: { model: { name: string; version: string }; label: string; present: boolean }[]
}

/** Whether a rule can only be judged by what the report is about. */
export const needsFacts = ({ peers, models, modalities, labels, present, priorities }: Rule): boolean =>
  [peers, models, modalities, labels, priorities].some(list => list.length > 0) || present !== null

const among = (list: readonly string[], value: string | null) =>
  list.length === 0 || (value !== null && list.includes(value))

/** What the event alone says. */
export function fitsEvent(
  { formats, sites, revisions }: Rule,
  { format, site, revision }: Pick<Report, 'format' | 'site' | 'revision'>,
): boolean {
  const later = (revision ?? 1) > 1
  return among(formats, format) && among(sites, site) && (revisions === 'any' || (revisions === 'later') === later)
}

export function fitsFacts({ peers, models, modalities, labels, present, priorities }: Rule, facts: Facts): boolean {
  if (!among(modalities, facts.modality) || !among(priorities, facts.priority)) return false
  if (peers.length > 0 && !peers.some(peer => facts.peers?.has(peer))) return false
  const named = facts.findings.filter(
    ({ model, label }) =>
      (models.length === 0 || models.includes(model.name) || models.includes(`${model.name}@${model.version}`)) &&
      among(labels, label),
  )
  if (present === null) return named.length > 0 || (models.length === 0 && labels.length === 0)
  return named.some(finding => finding.present) === present
}
