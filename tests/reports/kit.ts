/** Whole studies for tests of reports: real files in real stores, written down by persist as in the pipeline. */
import { persist } from '../../consumers/persist/stage.ts'
import { ids } from '../../schemas/ids.ts'
import type { PatientIdentity } from '../../schemas/patient.ts'
import { type Instance, type Prediction, type StudyAssessed, topics } from '../../schemas/topics.ts'
import { anAssessment, anInstance, aPrediction, began } from '../gateway/samples.ts'
import { openForTest } from '../harness/stage.ts'
import type { Stores } from '../harness/stores.ts'

export interface KeptStudy {
  assessed: StudyAssessed
  instances: Instance[]
  predictions: Prediction[]
}

export interface KeepOptions {
  /** What is said of the image with this index, over a positive answer; null: nothing. */
  said?: (index: number, instance: Instance) => Partial<Prediction> | null
  assessed?: Partial<StudyAssessed>
  /** When the first image came, ms since the epoch. */
  at?: number
}

/** Stores the images, one second after the other, and one answer of each; says what assess-study would of them. */
export async function keepStudy(
  stores: Stores,
  images: readonly Buffer[],
  { said = () => ({}), assessed: over = {}, at = began }: KeepOptions = {},
): Promise<KeptStudy> {
  const instances: Instance[] = []
  for (const [i, bytes] of images.entries()) instances.push(await stored(stores, bytes, at + i * 1000))
  const study = instances[0]?.study ?? ''
  const predictions = instances.flatMap((instance, i) => {
    const one = said(i, instance)
    return one === null ? [] : [answer(instance, i, one)]
  })
  const keeping = await openForTest(persist, stores)
  for (const instance of instances) await keeping.hand(topics.instances, instance)
  for (const prediction of predictions) await keeping.hand(topics.predictions, prediction)
  const assessed = assessmentOf(study, instances, predictions, over)
  await keeping.hand(topics.studies, assessed)
  await keeping.close()
  return { assessed, instances, predictions }
}

async function stored(stores: Stores, bytes: Buffer, receivedAt: number): Promise<Instance> {
  const { facts, patient } = await stores.images.describe(bytes, true)
  const { contentType, ...rest } = facts
  const object = await stores.objects.put(bytes, contentType)
  const id = ids.instance('main', facts.dicom?.sopInstance ?? null, object.sha256)
  return anInstance(1, {
    ...rest,
    id,
    object,
    study: facts.dicom ? ids.study('main', facts.dicom.study) : 'st_plain',
    patient: patient && pseudonymOf(stores, patient),
    receivedAt,
  })
}

const pseudonymOf = (stores: Stores, patient: PatientIdentity) => stores.secrets.pseudonym('main', patient)

function answer(instance: Instance, index: number, over: Partial<Prediction>): Prediction {
  const { id, study, site, object, modality, patient, receivedAt } = instance
  return aPrediction(index, {
    id: ids.prediction(id, { name: 'chest', version: '1.0.0', digest: 'd'.repeat(64) }, 'production', null),
    ...{ instance: id, study, site, object: object.key, modality, patient, receivedAt },
    label: 'pneumonia',
    score: 0.91,
    confidence: 0.91,
    probabilities: { pneumonia: 0.91, normal: 0.09 },
    predictedAt: receivedAt + 500,
    ...over,
  })
}

function assessmentOf(
  study: string,
  instances: readonly Instance[],
  predictions: readonly Prediction[],
  over: Partial<StudyAssessed>,
): StudyAssessed {
  const revision = over.revision ?? 1
  const last = Math.max(...instances.map(({ receivedAt }) => receivedAt))
  const [finding] = anAssessment(1).findings
  const positive = predictions.filter(({ label, confidence }) => label === 'pneumonia' && confidence >= 0.5)
  return anAssessment(1, {
    id: ids.studyRevision(study, revision),
    study,
    revision,
    patient: instances[0]?.patient ?? null,
    modality: instances[0]?.modality ?? null,
    series: new Set(instances.map(({ dicom }) => dicom?.series)).size,
    instances: instances.length,
    images: instances.map(({ id }) => id),
    findings: finding
      ? [
          {
            ...finding,
            instances: positive.map(({ instance }) => instance),
            positive: positive.length,
            analysed: predictions.length,
            present: positive.length > 0,
          },
        ]
      : [],
    firstAt: instances[0]?.receivedAt ?? null,
    completedAt: last + 15_000,
    assessedAt: last + 16_000,
    ...over,
  })
}
