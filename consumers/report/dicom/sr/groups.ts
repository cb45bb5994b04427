/** Measurement groups (TID 1501, TID 1410): one of each finding of the study, of each answer that it rests on, and of its regions. */
import { uids } from '../../../../schemas/ids.ts'
import type { Prediction, StudyFinding } from '../../../../schemas/topics.ts'
import { modelOf, type modelsOf } from '../../study/facts.ts'
import type { SaidOfImage, StudyContent } from '../../study/format.ts'
import { findingSentences, flagWords, item, verdictWords } from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import {
  artificialIntelligence,
  bodyPartCode,
  categories,
  conceptOf,
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

/** What the groups of findings refer to. */
export interface GroupSources {
  images: readonly Referenced[]
  /** Of the whole study. */
  models: ReturnType<typeof modelsOf>
}

export function findingGroup(content: StudyContent, finding: StudyFinding, { images, models }: GroupSources): DataSet {
  const { assessed } = content
  const { name, version } = modelOf(finding.model)
  const digest = models.get(finding.model)?.digest ?? null
  const byId = new Map(images.map(one => [one.image.id, one]))
  // Surest first, as the finding has them.
  const of = finding.instances.flatMap(id => byId.get(id) ?? [])
  return container(
    group,
    [
      ...tracking(`${finding.model}: ${finding.label}${finding.group ? ` (${finding.group})` : ''}`, [
        ...[assessed.study, 'finding', finding.model, finding.label, finding.group ?? ''],
      ]),
      coded('CONTAINS', sct('276214006', 'Finding category'), categories.finding),
      coded('CONTAINS', dcm('121071', 'Finding'), conceptOf(finding.label, content)),
      ...site(of, finding.group),
      ...algorithm({ name, version, digest }, finding.threshold),
      ...certainty(finding.present ? finding.score : 1 - finding.score),
      coded('CONTAINS', sct('705057003', 'Presence'), finding.present ? presence.present : presence.absent),
      ...sideOf(of, finding.group),
      ...of.slice(0, mostSources).map(one => image('CONTAINS', source, one)),
      text('CONTAINS', comment, remarks(content, finding, of.length)),
    ],
    1501,
  )
}

/** One of the answer (TID 1501), and one of each region that it marks (TID 1410, planar). */
export function imageGroups(content: StudyContent, of: Referenced, said: SaidOfImage): DataSet[] {
  const { prediction } = said
  const regions = prediction.regions.filter(({ points }) => isOutline(points))
  const outlined = regions.map((region, i) =>
    container(
      group,
      [
        ...tracking(`${prediction.model.name}: ${region.label} ${i + 1}`, [prediction.id, 'region', String(i)]),
        coded('CONTAINS', sct('276214006', 'Finding category'), categories.structure),
        coded('CONTAINS', dcm('121071', 'Finding'), conceptOf(region.label, content)),
        ...site([of], null),
        ...algorithm(prediction.model, prediction.threshold),
        outline(
          dcm('111030', 'Image Region'),
          closed(region.points),
          { ...of, frames: (of.image.instance?.frames ?? 1) > 1 ? [region.frame] : [] },
          source,
        ),
        ...certainty(region.score, algorithm(prediction.model, prediction.threshold)),
      ],
      1410,
    ),
  )
  return [imageGroup(content, of, said), ...outlined]
}

function imageGroup(content: StudyContent, of: Referenced, { prediction, verdict }: SaidOfImage): DataSet {
  const { model, label, confidence, threshold, quality } = prediction
  const speech = speak(content.language)
  const spoken = verdictWords(speech, verdict)
  const said = [
    ...quality.map(flag => `${item(speech, 'quality', flagWords(speech, flag))}.`),
    ...(spoken === null ? [] : [spoken]),
  ]
  return container(
    group,
    [
      ...tracking(`${model.name}: image ${of.image.number ?? of.image.id}`, [prediction.id]),
      coded('CONTAINS', dcm('121071', 'Finding'), conceptOf(label, content)),
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
const algorithm = (
  { name, version, digest }: Pick<Prediction['model'], 'name' | 'version'> & { digest: string | null },
  threshold: number | null,
): DataSet[] => [
  text('HAS CONCEPT MOD', dcm('111001', 'Algorithm Name'), name),
  text('HAS CONCEPT MOD', dcm('111003', 'Algorithm Version'), version),
  ...(digest === null ? [] : [parameter(`weights SHA-256 ${digest}`)]),
  ...(threshold === null ? [] : [parameter(`threshold ${threshold}`)]),
  coded('HAS CONCEPT MOD', dcm('111000', 'Algorithm Family'), artificialIntelligence),
]

const parameter = (value: string) => text('HAS CONCEPT MOD', dcm('111002', 'Algorithm Parameters'), value)

/**
 * TID 300, and TID 1419 where it is of a region: how certain the device is, 0 to 100 % (DCM 111012). None for what is no number.
 *
 * @param by TID 1419 has the algorithm (TID 4019) with each of its numbers
 */
function certainty(share: number, by: readonly DataSet[] = []): DataSet[] {
  if (!Number.isFinite(share)) return []
  const percent = Number(Math.min(100, Math.max(0, share * 100)).toFixed(4))
  return [number('CONTAINS', dcm('111012', 'Certainty of Finding'), percent, ucum('%', 'Percent'), by)]
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

/** @param known images of the finding that can be referred to */
function remarks({ language }: StudyContent, finding: StudyFinding, known: number): string {
  const speech = speak(language)
  return [
    ...findingSentences(speech, finding),
    ...(known > mostSources ? [speech.say('surestNamed', { shown: mostSources })] : []),
  ].join(' ')
}

const isOutline = (points: readonly number[]): boolean =>
  points.length >= 6 && points.length % 2 === 0 && points.every(Number.isFinite)

/** A POLYLINE is closed where its last point is its first (PS3.3 C.10.5.1.2). */
function closed(points: readonly number[]): readonly number[] {
  const [x = 0, y = 0] = points
  return points.at(-2) === x && points.at(-1) === y ? points : [...points, x, y]
}
