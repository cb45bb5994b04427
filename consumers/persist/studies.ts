import type { StudyDoc } from '../../schemas/documents.ts'
import type { Instance } from '../../schemas/topics.ts'

/** The study with this instance in it. Merging the same instance again changes nothing; what one lacks another may tell. */
export function mergeStudy(known: StudyDoc | undefined, instance: Instance): StudyDoc {
  return {
    id: instance.study,
    site: instance.site,
    studyUid: known?.studyUid ?? instance.dicom?.study ?? null,
    patient: known?.patient ?? instance.patient,
    modality: known?.modality ?? instance.modality,
    bodyPart: known?.bodyPart ?? instance.bodyPart,
    firstAt: Math.min(known?.firstAt ?? instance.receivedAt, instance.receivedAt),
    lastAt: Math.max(known?.lastAt ?? instance.receivedAt, instance.receivedAt),
  }
}
