/** A study's content as the JSON of schema.ts. Pure. */

import { codeOfLabel, examinedAt, modelOf, studyUidOf } from '../../study/facts.ts'
import type { EarlierResult, SaidOfImage, StudyContent, StudyImage } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import { isoDate } from '../../study/person.ts'
import { conclusion, notes, standingOf } from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import type { StudyReportJson } from './schema.ts'

const iso = (ms: number): string => new Date(ms).toISOString()

export function studyJson(content: StudyContent): StudyReportJson {
  const { assessed } = content
  const speech = speak(content.language)
  return {
    schema: 'raylog.study-report.v1',
    language: content.language,
    researchUseOnly: content.researchUseOnly,
    status: standingOf(content),
    revision: assessed.revision,
    replaces: content.predecessor?.revision ?? null,
    assessedAt: iso(content.madeAt),
    study: studyPart(content),
    patient: patientPart(content),
    priority: assessed.priority,
    conclusion: conclusion(speech, content.assessed.findings),
    notes: notes(speech, content),
    findings: assessed.findings.map(({ model, label, instances, ...finding }) => ({
      ...finding,
      model: modelOf(model),
      label,
      code: codeOfLabel(label, content) ?? null,
      images: instances,
    })),
    missing: assessed.missing.map(({ instance, model, code }) => ({ image: instance, model, code })),
    images: content.images.map(imagePart),
    earlier: content.earlier.map(earlierPart),
  }
}

function studyPart(content: StudyContent): StudyReportJson['study'] {
  const { assessed, header, site, institution, identity, showNames } = content
  return {
    id: assessed.study,
    uid: studyUidOf(content),
    accession: (showNames && identity?.accession) || null,
    description: header && firstText(header, '00081030'),
    site,
    institution,
    modality: assessed.modality,
    examinedAt: iso(examinedAt(content)),
    series: assessed.series,
    images: assessed.instances,
    completedBy: assessed.completedBy,
    expected: assessed.expected?.images ?? null,
  }
}

function patientPart({ assessed, identity, showNames }: StudyContent): StudyReportJson['patient'] {
  if (assessed.patient === null && identity === null) return null
  const shown = showNames ? identity : null
  return {
    pseudonym: assessed.patient,
    id: shown?.patientId ?? null,
    issuer: shown?.issuer ?? null,
    name: shown?.name ?? null,
    birthDate: isoDate(shown?.birthDate ?? null),
    sex: shown?.sex ?? null,
  }
}

function imagePart({ id, instance, number, lost, said }: StudyImage): StudyReportJson['images'][number] {
  return {
    id,
    sopInstanceUid: instance?.dicom?.sopInstance ?? null,
    seriesUid: instance?.dicom?.series ?? null,
    number,
    modality: instance?.modality ?? null,
    lost,
    answers: said.map(answerPart),
  }
}

function answerPart({ prediction, verdict }: SaidOfImage): StudyReportJson['images'][number]['answers'][number] {
  const { id, model, label, score, threshold, confidence, probabilities, regions, quality, predictedAt } = prediction
  return {
    prediction: id,
    model: { name: model.name, version: model.version, digest: model.digest },
    ...{ label, score, threshold, confidence, probabilities, regions, quality },
    at: iso(predictedAt),
    verdict: verdict && { ...verdict, at: iso(verdict.at) },
  }
}

function earlierPart({ study, studyUid, modality, at, revision, findings }: EarlierResult) {
  const labels = (present: boolean) => findings.filter(one => one.present === present).map(({ label }) => label)
  return { study, uid: studyUid, modality, at: iso(at), revision, found: labels(true), notFound: labels(false) }
}
