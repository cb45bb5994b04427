/**
 * A study's result as a measurement report (PS3.16 TID 1500) in a Comprehensive 3D SR (PS3.3 A.35.13), with what IHE AIR
 * asks for: algorithms identified, findings coded, everything tracked and traced to its images.
 */

import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { uids } from '../../../../schemas/ids.ts'
import { modelsOf } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import * as phrases from '../../texts/phrases.ts'
import { type Language, speak } from '../../texts/texts.ts'
import { dcm, procedureOf } from '../codes.ts'
import {
  commonModules,
  contentTimes,
  copiedOf,
  hierarchical,
  predecessorOf,
  type Referenced,
  referencedOf,
} from '../common.ts'
import { created } from '../created.ts'
import { line } from '../text.ts'
import { type DataSet, toFile } from '../write.ts'
import { findingGroup, imageGroups } from './groups.ts'
import { coded, container, text, uid } from './items.ts'
import { imageLibrary } from './library.ts'

/** Answers about single images that are written down, each with its regions; of more it is said how many there are. */
const mostAnswers = 200

/** Of a study with an image that a PACS knows, at least. */
export function structuredReport({ content, version }: { content: StudyContent; version: string }): Buffer {
  const images = referencedOf(content.images)
  return toFile({ ...documentModules(content, images, version), ...root(content, images) }, copiedOf(content))
}

/** SR Document Series, SR Document General (PS3.3 C.17.1, C.17.2), equipment. */
function documentModules(content: StudyContent, images: readonly Referenced[], version: string): DataSet {
  const { assessed, header } = content
  const missing = whatIsMissing(content, images)
  return {
    ...commonModules(content, {
      as: created.sr,
      instanceNumber: assessed.revision,
      version,
    }),
    ReferencedPerformedProcedureStepSequence: [],
    PreliminaryFlag: 'FINAL',
    CompletionFlag: missing.length > 0 ? 'PARTIAL' : 'COMPLETE',
    CompletionFlagDescription: line(missing[0] ?? speak(content.language).say('allAnswers')),
    VerificationFlag: 'UNVERIFIED',
    PerformedProcedureCodeSequence: [],
    CurrentRequestedProcedureEvidenceSequence: hierarchical(images),
    ...(header && requests(header)),
    ...predecessorOf(content, created.sr),
  }
}

/** What was ordered (PS3.3 C.17.2, Referenced Request Sequence), as far as the images say. */
function requests(header: DicomAttributes): DataSet | undefined {
  const [said] = header['00400275']?.Value ?? []
  const request = (typeof said === 'object' && said !== null ? said : {}) as DicomAttributes
  const accession = firstText(header, '00080050')
  const procedureId = firstText(request, '00401001')
  if (accession === null && procedureId === null) return undefined
  return {
    ReferencedRequestSequence: {
      StudyInstanceUID: firstText(header, '0020000D') ?? [],
      ReferencedStudySequence: [],
      AccessionNumber: accession ?? [],
      PlacerOrderNumberImagingServiceRequest: [],
      FillerOrderNumberImagingServiceRequest: [],
      RequestedProcedureID: procedureId ?? [],
      RequestedProcedureDescription: firstText(request, '00321060') ?? [],
      RequestedProcedureCodeSequence: [],
    },
  }
}

function root(content: StudyContent, images: readonly Referenced[]): DataSet {
  const { RelationshipType: _none, ...item } = container(
    dcm('126000', 'Imaging Measurement Report'),
    [
      coded('HAS CONCEPT MOD', dcm('121049', 'Language of Content Item and Descendants'), {
        scheme: 'RFC5646',
        value: content.language,
        meaning: languages[content.language],
      }),
      ...observer(content),
      coded('HAS CONCEPT MOD', dcm('121058', 'Procedure reported'), procedureOf(content.assessed.modality)),
      imageLibrary(images),
      measurements(content, images),
      ...notes(content, images).map(note => text('CONTAINS', dcm('121106', 'Comment'), note)),
    ],
    1500,
  )
  const { dateTime } = contentTimes(content)
  return { ...item, ObservationDateTime: dateTime }
}

/** TID 1001 and 1004: a device said this. */
const observer = ({ site }: StudyContent): DataSet[] => [
  coded('HAS OBS CONTEXT', dcm('121005', 'Observer Type'), dcm('121007', 'Device')),
  uid('HAS OBS CONTEXT', dcm('121012', 'Device Observer UID'), uids.device(site)),
  text('HAS OBS CONTEXT', dcm('121013', 'Device Observer Name'), 'Raylog'),
  text('HAS OBS CONTEXT', dcm('121014', 'Device Observer Manufacturer'), 'Raylog'),
  text('HAS OBS CONTEXT', dcm('121015', 'Device Observer Model Name'), 'Raylog'),
  text('HAS OBS CONTEXT', dcm('121017', 'Device Observer Physical Location During Observation'), site),
]

function measurements(content: StudyContent, images: readonly Referenced[]): DataSet {
  const models = modelsOf(content)
  const groups = [
    ...content.assessed.findings.map(finding => findingGroup(content, finding, { images, models })),
    ...answersOf(images)
      .slice(0, mostAnswers)
      .flatMap(({ of, said }) => imageGroups(content, of, said)),
  ]
  return container(dcm('126010', 'Imaging Measurements'), groups)
}

const answersOf = (images: readonly Referenced[]) => images.flatMap(of => of.image.said.map(said => ({ of, said })))

const languages: Readonly<Record<Language, string>> = { en: 'English', fr: 'French', es: 'Spanish' }

const notes = (content: StudyContent, images: readonly Referenced[]): string[] => [
  ...phrases.notes(speak(content.language), content),
  ...notInIt(content, images),
]

/** One sentence each; none where all is there. */
function whatIsMissing(content: StudyContent, images: readonly Referenced[]): string[] {
  const speech = speak(content.language)
  const answers = phrases.missingLines(speech, content).map(one => `${phrases.item(speech, 'missing', one)}.`)
  return [...answers, ...notInIt(content, images)]
}

/** Images that nothing can refer to, and answers beyond the bound. */
function notInIt({ images, language }: StudyContent, referenced: readonly Referenced[]): string[] {
  const speech = speak(language)
  const lost = images.filter(({ instance }) => instance === null).length
  const plain = images.filter(({ instance }) => instance !== null && instance.dicom === null).length
  const total = answersOf(referenced).length
  return [
    ...(lost > 0 ? [speech.count('imagesErased', lost)] : []),
    ...(plain > 0 ? [speech.count('imagesNotDicom', plain)] : []),
    ...(total > mostAnswers ? [speech.say('answersLeftOut', { total, shown: mostAnswers })] : []),
  ]
}
