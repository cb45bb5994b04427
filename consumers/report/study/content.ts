/** Gathers what the reports of a study say, in one place: from what persist has written, and one image's header. */
import type { Ports } from '../../../kafka/ports.ts'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { ids } from '../../../schemas/ids.ts'
import type { PatientIdentity } from '../../../schemas/patient.ts'
import type { Instance, StudyAssessed } from '../../../schemas/topics.ts'
import { allOf, type DocumentStore } from '../../../storage/documents.ts'
import { sealedIdentity } from '../identity.ts'
import { settled } from '../settled.ts'
import type { Language } from '../texts/texts.ts'
import { codesOf } from './codes.ts'
import { earlierResults } from './earlier.ts'
import type { Code, Predecessor, SaidOfImage, StudyContent, StudyImage } from './format.ts'
import { firstText, personNameText, reportedHeader } from './header.ts'

export type StudyPorts = Pick<Ports, 'documents' | 'objects' | 'images' | 'secrets'>

export interface StudyOptions {
  showNames: boolean
  researchUseOnly: boolean
  language: Language
  earlierStudies: number
  codes: Readonly<Record<string, Code>>
}

/** @throws RaylogError of a store that may answer later; none for what is missing: that is said in it */
export async function gatherStudy(
  ports: StudyPorts,
  options: StudyOptions,
  assessed: StudyAssessed,
  predecessor: Predecessor | null,
): Promise<StudyContent> {
  const [images, sealed, earlier] = await Promise.all([
    gatherImages(ports.documents, assessed),
    assessed.patient === null ? null : sealedIdentity(ports, assessed.patient),
    earlierResults(ports.documents, assessed, options.earlierStudies),
  ])
  const header = await firstHeader(ports, images)
  const { showNames, researchUseOnly, language } = options
  return {
    assessed,
    madeAt: assessed.assessedAt ?? assessed.completedAt,
    site: assessed.site,
    institution: header && firstText(header, '00080080'),
    images,
    header,
    identity: identityOf(header, sealed),
    showNames,
    earlier,
    predecessor,
    codes: codesOf(assessed, images, options.codes),
    language,
    researchUseOnly,
  }
}

async function gatherImages(documents: DocumentStore, assessed: StudyAssessed): Promise<StudyImage[]> {
  const { study, images } = assessed
  const [instances, said] = await Promise.all([documents.getMany('instances', images), saidOf(documents, assessed)])
  const known = new Map(instances.map(instance => [instance.id, instance]))
  const indexed = await documents.getMany('dicomInstances', [
    ...new Set(instances.flatMap(({ site, dicom }) => (dicom ? [ids.sopInstance(site, dicom.sopInstance)] : []))),
  ])
  const numbers = new Map(indexed.filter(doc => doc.study === study).map(({ instance, at }) => [instance, at]))
  return images
    .map(id => {
      const instance = known.get(id) ?? null
      const lost = instance ? null : 'The image was erased.'
      // 0 in the index: it has none.
      return { id, instance, number: numbers.get(id) || null, lost, said: said.get(id) ?? [] }
    })
    .sort(inOrder)
}

/** By series, number and UID; images that are no DICOM by when they came; what is lost at the end. */
function inOrder(a: StudyImage, b: StudyImage): number {
  const key = ({ id, instance, number }: StudyImage) =>
    [
      instance ? 0 : 1,
      instance?.dicom?.series ?? '',
      number ?? Number.MAX_SAFE_INTEGER,
      instance?.dicom ? 0 : (instance?.receivedAt ?? 0),
      instance?.dicom?.sopInstance ?? id,
      id,
    ] as const
  const [left, right] = [key(a), key(b)]
  for (const [i, one] of left.entries()) {
    const other = right[i] ?? ''
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}

/** By instance: of each model the newest that was on the log when the study was assessed, and the newest verdict on it. */
async function saidOf(documents: DocumentStore, assessed: StudyAssessed): Promise<Map<string, SaidOfImage[]>> {
  const { study } = assessed
  const until = assessed.assessedAt ?? Number.POSITIVE_INFINITY
  const [predictions, feedback] = await Promise.all([
    allOf(documents, 'predictions', { study }),
    allOf(documents, 'feedback', { study }),
  ])
  const verdicts = new Map(
    feedback
      .filter(({ at }) => at <= until)
      .toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
      .map(({ prediction, verdict, label, at }) => [prediction, { verdict, label, at }]),
  )
  const covered = new Set(assessed.images)
  const inUse = predictions
    .filter(one => (one.role === 'production' || one.role === 'canary') && one.predictedAt <= until)
    .filter(({ instance }) => covered.has(instance))
    .toSorted((a, b) => a.predictedAt - b.predictedAt || (a.id < b.id ? -1 : 1))
  const newest = new Map(inUse.map(one => [`${one.instance} ${one.model.name}`, one]))
  const said = [...newest.values()]
    .toSorted((a, b) => (a.model.name < b.model.name ? -1 : 1))
    .map(prediction => ({ prediction, verdict: verdicts.get(prediction.id) ?? null }))
  return Map.groupBy(said, ({ prediction }) => prediction.instance)
}

async function firstHeader({ images: port }: StudyPorts, images: readonly StudyImage[]) {
  for (const { instance } of images) {
    if (!instance?.dicom) continue
    const read = await settled(readHeader(port, instance))
    if ('value' in read) return reportedHeader(read.value)
  }
  return null
}

/** All elements but those that are only referred to. */
export async function readHeader({ dicom }: Ports['images'], { object }: Instance): Promise<DicomAttributes> {
  const { attributes } = await dicom.header(object, () => '')
  return Object.fromEntries(Object.entries(attributes).filter(([, element]) => element.BulkDataURI === undefined))
}

/** As this study says; what it does not say is as the patient was first known. */
function identityOf(header: DicomAttributes | null, sealed: PatientIdentity | null): PatientIdentity | null {
  if (header === null) return sealed && { ...sealed, accession: null }
  const said = {
    name: personNameText(header, '00100010'),
    patientId: firstText(header, '00100020'),
    issuer: firstText(header, '00100021'),
    birthDate: firstText(header, '00100030'),
    sex: firstText(header, '00100040'),
    accession: firstText(header, '00080050'),
  }
  return {
    name: said.name ?? sealed?.name ?? null,
    patientId: said.patientId ?? sealed?.patientId ?? null,
    issuer: said.issuer ?? sealed?.issuer ?? null,
    birthDate: said.birthDate ?? sealed?.birthDate ?? null,
    sex: said.sex ?? sealed?.sex ?? null,
    accession: said.accession,
  }
}
