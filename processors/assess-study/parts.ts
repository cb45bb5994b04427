/** What is kept of a study beside its state: one small document an image, an answer, a verdict. */
import type { StudyAnswerDoc, StudyImageDoc, StudyVerdictDoc } from '../../schemas/study.ts'
import type { Feedback, Instance, Parked, Prediction, StudyAssessed } from '../../schemas/topics.ts'
import { allOf, type DocumentStore } from '../../storage/documents.ts'
import type { Parts } from './findings.ts'

export const imageOf = (instance: Instance, models: readonly string[], seenAt: number): StudyImageDoc => ({
  id: instance.id,
  study: instance.study,
  series: instance.dicom?.series ?? null,
  laterality: instance.laterality,
  models: [...new Set(models)],
  seenAt,
})

export const answerOf = (prediction: Prediction): StudyAnswerDoc => ({
  id: prediction.id,
  study: prediction.study,
  instance: prediction.instance,
  model: prediction.model.name,
  version: prediction.model.version,
  label: prediction.label,
  probabilities: prediction.probabilities,
  score: prediction.score,
  threshold: prediction.threshold,
  quality: prediction.quality,
  code: null,
  at: prediction.predictedAt,
})

/** That an image was given up before a model could answer. */
export const refusalOf = ({ id, key, subject, code, at }: Parked): StudyAnswerDoc => ({
  id,
  study: key,
  instance: subject ?? '',
  model: '',
  version: '',
  label: '',
  probabilities: {},
  score: 0,
  threshold: null,
  quality: [],
  code,
  at,
})

export const verdictOf = ({ id, study, prediction, label, verdict, at }: Feedback): StudyVerdictDoc => ({
  ...{ id, study, prediction, label, verdict, at },
})

/** All of one study. Held no longer than it takes to assess it. */
export async function partsOf(documents: DocumentStore, study: string): Promise<Parts> {
  const [images, answers, verdicts] = await Promise.all([
    allOf(documents, 'studyImages', { study }),
    allOf(documents, 'studyAnswers', { study }),
    allOf(documents, 'studyVerdicts', { study }),
  ])
  return { images, answers, verdicts }
}

/** Answers that were to come and are not there; with a code where it is known that they do not come. */
export function missingOf({ images, answers }: Parts): StudyAssessed['missing'] {
  const answered = new Set(answers.map(({ instance, model }) => `${instance} ${model}`))
  const refused = new Map(answers.flatMap(({ instance, code }) => (code === null ? [] : [[instance, code] as const])))
  return images.flatMap(({ id, models }) =>
    models
      .filter(model => !answered.has(`${id} ${model}`))
      .map(model => ({ instance: id, model, code: refused.get(id) ?? null })),
  )
}
