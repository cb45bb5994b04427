/** What rules look at beside the event: the result or the study that a report is about, as persist keeps it. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { isFound } from '../../schemas/prediction.ts'
import type { Prediction, Report, StudyAssessed } from '../../schemas/topics.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Facts } from './rules.ts'

/** persist may be behind, so what is not there yet is waited for; after this it was erased, ms. */
const patienceMs = 10 * 60_000

/** @throws RaylogError busy: not there yet; not-found: it will not come */
export async function factsOf(documents: DocumentStore, clock: Clock, report: Report): Promise<Facts> {
  if (report.prediction !== null) {
    const prediction = await documents.get('predictions', report.prediction)
    return prediction ? await ofPrediction(documents, prediction) : absent(report, clock)
  }
  const study = await documents.get('assessments', ids.studyRevision(report.study, report.revision ?? 1))
  return study ? ofStudy(study) : absent(report, clock)
}

function absent(report: Report, clock: Clock): never {
  const waits = clock.now() - report.at < patienceMs
  const what = `what report ${report.id} is about is not in the documents`
  throw new RaylogError(waits ? 'busy' : 'not-found', what)
}

async function ofPrediction(documents: DocumentStore, prediction: Prediction): Promise<Facts> {
  const { modality, model, label, instance } = prediction
  const priority = (await documents.get('instances', instance))?.priority ?? 'routine'
  return { modality, priority, findings: [{ model, label, present: isFound(prediction) }] }
}

function ofStudy({ modality, priority, findings }: StudyAssessed): Facts {
  return {
    modality,
    priority,
    findings: findings.map(({ model, label, present }) => {
      const [name = '', version = ''] = model.split('@')
      return { model: { name, version }, label, present }
    }),
  }
}
