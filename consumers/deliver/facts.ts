/** What rules look at beside the event: the result or the study that a report is about, as persist keeps it. */
import type { Clock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import type { Peer } from '../../schemas/peers.ts'
import { isFound } from '../../schemas/prediction.ts'
import type { Instance, Prediction, Report, StudyAssessed } from '../../schemas/topics.ts'
import { allOf, type DocumentStore } from '../../storage/documents.ts'
import type { Facts } from './rules.ts'

/** persist may be behind, so what is not there yet is waited for; after this it was erased, ms. */
const patienceMs = 10 * 60_000

/** @throws RaylogError busy: not there yet; not-found: it will not come */
export async function factsOf(documents: DocumentStore, clock: Clock, report: Report): Promise<Facts> {
  if (report.prediction !== null) {
    const prediction = await documents.get('predictions', report.prediction)
    if (!prediction) throw absence(report, clock)
    return await ofPrediction(documents, prediction)
  }
  return ofStudy(await assessmentOf(documents, clock, report))
}

export interface Senders {
  /** Names of the peers that sent the images that are there. */
  names: ReadonlySet<string>
  /** As `factsOf` throws it, where one of the images is not there: who sent that one is not known. */
  absent: RaylogError | null
}

/**
 * Who sent what the report is about. Over DIMSE an image says the AE title that it came from, so peers of one AE title are one here.
 * @throws RaylogError as `factsOf`
 */
export async function sendersOf(
  documents: DocumentStore,
  clock: Clock,
  report: Report,
  peers: readonly Peer[],
): Promise<Senders> {
  const names = new Set<string>()
  const { found, isWhole } = await imagesOf(documents, clock, report)
  for (const { source } of found) {
    if (source.kind === 'retrieve') names.add(source.peer)
    if (source.kind !== 'dimse') continue
    for (const { name, aeTitle } of peers) if (aeTitle === source.peer) names.add(name)
  }
  return { names, absent: isWhole ? null : absence(report, clock) }
}

async function imagesOf(
  documents: DocumentStore,
  clock: Clock,
  report: Report,
): Promise<{ found: Instance[]; isWhole: boolean }> {
  if (report.prediction !== null) {
    const prediction = await documents.get('predictions', report.prediction)
    const image = prediction && (await documents.get('instances', prediction.instance))
    return { found: image ? [image] : [], isWhole: image !== undefined }
  }
  const { study, images } = await assessmentOf(documents, clock, report)
  const all = await allOf(documents, 'instances', { study })
  const covered = new Set(images)
  // Those of an earlier version do not say which they cover.
  const found = images.length === 0 ? all : all.filter(({ id }) => covered.has(id))
  return { found, isWhole: found.length >= covered.size }
}

async function assessmentOf(documents: DocumentStore, clock: Clock, report: Report): Promise<StudyAssessed> {
  const study = await documents.get('assessments', ids.studyRevision(report.study, report.revision ?? 1))
  if (!study) throw absence(report, clock)
  return study
}

function absence(report: Report, clock: Clock): RaylogError {
  const waits = clock.now() - report.at < patienceMs
  const what = `what report ${report.id} is about is not in the documents`
  return new RaylogError(waits ? 'busy' : 'not-found', what)
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
