/** Measurement groups (TID 1501, TID 1410): one of each finding of the study, and one of each answer that it rests on. */
import { uids } from '../../../../schemas/ids.ts'
import type { Prediction, StudyFinding } from '../../../../schemas/topics.ts'
import type { SaidOfImage, StudyContent } from '../../study/format.ts'
import {
  artificialIntelligence,
  bodyPartCode,
  categories,
  codeOfLabel,
  dcm,
  presence,
  sct,
  sideCode,
  ucum,
} from '../codes.ts'
import type { Referenced } from '../common.ts'
import type { DataSet } from '../write.ts'
import { coded, container, image, number, outline, text, uid } from './items.ts'

const group = dcm('125007', 'Measurement Group')
const source = sct('260753009', 'Source')
const comment = dcm('121106', 'Comment')

/** Images that a group names, at most: the finding says how many there are. */
const mostSources = 20

export function findingGroup(content: StudyContent, finding: StudyFinding, images: readonly Referenced[]): DataSet {
  const { assessed, codes } = content
  const [name = finding.model, version = ''] = finding.model.split('@')
  const model = modelOf(content, name, version)
  const of = images.filter(one => finding.instances.includes(one.image.id))
  return container(
    group,
    [
      ...tracking(`${finding.model}: ${finding.label}${finding.group ? ` (${finding.group})` : ''}`, [
        ...[assessed.study, 'finding', finding.model, finding.label, finding.group ?? ''],
      ]),
      coded('CONTAINS', sct('276214006', 'Finding category'), categories.finding),
      coded('CONTAINS', dcm('121071', 'Finding'), codeOfLabel(finding.label, codes)),
      ...site(of, finding.group),
      ...algorithm({ name, version, digest: model?.digest ?? null }, finding.threshold),
      ...certainty(finding.score),
      coded('CONTAINS', sct('705057003', 'Presence'), finding.present ? presence.present : presence.absent),
      ...sideOf(of, finding.group),
      ...of.slice(0, mostSources).map(one => image('CONTAINS', source, one)),
      text('CONTAINS', comment, remarks(finding)),
    ],
    1501,
  )
}

/** Without regions one group (TID 1501), otherwise one for each region (TID 1410, planar). */
export function imageGroups(content: StudyContent, of: Referenced, said: SaidOfImage): DataSet[] {
  const { prediction } = said
  const regions = prediction.regions.filter(({ points }) => isOutline(points))
  if (regions.length === 0) return [imageGroup(content, of, said)]
  return regions.map((region, i) =>
    container(
      group,
      [
        ...tracking(`${prediction.model.name}: ${region.label} ${i + 1}`, [prediction.id, 'region', String(i)]),
        coded('CONTAINS', sct('276214006', 'Finding category'), categories.structure),
        coded('CONTAINS', dcm('121071', 'Finding'), codeOfLabel(region.label, content.codes)),
        ...site([of], null),
        ...algorithm(prediction.model, prediction.threshold),
        outline(
          dcm('111030', 'Image Region'),
          closed(region.points),
          { ...of, frames: (of.image.instance?.frames ?? 1) > 1 ? [region.frame] : [] },
          source,
        ),
        ...certainty(region.score),
      ],
      1410,
    ),
  )
}

function imageGroup({ codes }: StudyContent, of: Referenced, { prediction, verdict }: SaidOfImage): DataSet {
  const { model, label, confidence, threshold, quality } = prediction
  const said = [
    ...quality.map(flag => `Quality: ${flag}.`),
    ...(verdict?.verdict === 'corrected' ? [`A person corrected this to "${verdict.label ?? 'something else'}".`] : []),
    ...(verdict?.verdict === 'agreed' ? ['A person agreed.'] : []),
  ]
  return container(
    group,
    [
      ...tracking(`${model.name}: image ${of.image.number ?? of.image.id}`, [prediction.id]),
      coded('CONTAINS', dcm('121071', 'Finding'), codeOfLabel(label, codes)),
      ...site([of], null),
      ...algorithm(model, threshold),
      ...certainty(confidence),
      image('CONTAINS', source, of),
      ...said.map(one => text('CONTAINS', comment, one)),
    ],
    1501,
  )
}

/** The same thing has the same UID in every revision. */
const tracking = (identifier: string, parts: readonly string[]): DataSet[] => [
  text('HAS OBS CONTEXT', dcm('112039', 'Tracking Identifier'), identifier),
  uid('HAS OBS CONTEXT', dcm('112040', 'Tracking Unique Identifier'), uids.tracking(...parts)),
]

/** TID 4019: which algorithm, to the digest of its weights, and by which threshold it decided. */
export const algorithm = (
  { name, version, digest }: Pick<Prediction['model'], 'name' | 'version'> & { digest: string | null },
  threshold: number | null,
): DataSet[] => [
  text('HAS CONCEPT MOD', dcm('111001', 'Algorithm Name'), name),
  text('HAS CONCEPT MOD', dcm('111003', 'Algorithm Version'), version || 'unknown'),
  ...(digest === null ? [] : [parameter(`weights SHA-256 ${digest}`)]),
  ...(threshold === null ? [] : [parameter(`threshold ${threshold}`)]),
  coded('HAS CONCEPT MOD', dcm('111000', 'Algorithm Family'), artificialIntelligence),
]

const parameter = (value: string) => text('HAS CONCEPT MOD', dcm('111002', 'Algorithm Parameters'), value)

/** TID 300: how certain the device is, 0 to 100 % (DCM 111012). None for what is no number. */
function certainty(share: number): DataSet[] {
  if (!Number.isFinite(share)) return []
  const percent = Math.min(100, Math.max(0, share * 100))
  return [number('CONTAINS', dcm('111012', 'Certainty of Finding'), Number(percent.toFixed(4)), ucum('%', 'Percent'))]
}

const bodyPartsOf = (images: readonly Referenced[]) => new Set(images.map(one => one.image.instance?.bodyPart ?? null))

function site(images: readonly Referenced[], side: string | null): DataSet[] {
  const [bodyPart = null, ...others] = bodyPartsOf(images)
  const code = others.length === 0 ? bodyPartCode(bodyPart) : undefined
  if (!code) return []
  const laterality = sideCode(side ?? (images.length === 1 ? (images[0]?.image.instance?.laterality ?? null) : null))
  const children = laterality ? [coded('HAS CONCEPT MOD', sct('272741003', 'Laterality'), laterality)] : []
  return [coded('HAS CONCEPT MOD', sct('363698007', 'Finding Site'), code, children)]
}

/** Where no site can carry it. */
function sideOf(images: readonly Referenced[], side: string | null): DataSet[] {
  const code = sideCode(side)
  return code && site(images, side).length === 0 ? [coded('CONTAINS', sct('272741003', 'Laterality'), code)] : []
}

function remarks({ rule, positive, analysed, corrected, quality, instances }: StudyFinding): string {
  const parts = [`Rule "${rule}": ${positive} of ${analysed} images that were analysed say so.`]
  if (instances.length > mostSources) parts.push(`The ${mostSources} surest of them are named here.`)
  if (corrected > 0) parts.push(`People decided otherwise than the model on ${corrected} of them.`)
  if (quality.length > 0) parts.push(`Quality: ${quality.join(', ')}.`)
  return parts.join(' ')
}

/** The model of a finding as its answers name it. */
export function modelOf({ images }: StudyContent, name: string, version: string): Prediction['model'] | undefined {
  for (const { said } of images)
    for (const { prediction } of said)
      if (prediction.model.name === name && prediction.model.version === version) return prediction.model
  return undefined
}

const isOutline = (points: readonly number[]): boolean =>
  points.length >= 6 && points.length % 2 === 0 && points.every(Number.isFinite)

/** A POLYLINE is closed where its last point is its first (PS3.3 C.10.5.1.2). */
function closed(points: readonly number[]): readonly number[] {
  const [x = 0, y = 0] = points
  return points.at(-2) === x && points.at(-1) === y ? points : [...points, x, y]
}
