/** ImagingStudy: which images the report is of. */
import type { Identifier, ImagingStudy, Patient, Reference } from '@medplum/fhirtypes'
import { examinedAt, studyUidOf } from '../../study/facts.ts'
import type { StudyContent, StudyImage } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import { coversWords } from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import { created, type Entry, narrative } from './entry.ts'
import { accessionSystem, codes, fullUrl, modality, type Systems } from './names.ts'

export function accessionOf({ identity, site }: StudyContent, systems: Systems): Identifier | null {
  if (!identity?.accession) return null
  return {
    type: { coding: [codes.accession] },
    system: accessionSystem(systems, site),
    value: identity.accession,
  }
}

/** Created only where the server has none of that UID: the PACS's own knows more. None where no image is DICOM. */
export function studyEntry(
  content: StudyContent,
  subject: Reference<Patient>,
  systems: Systems,
): Entry<ImagingStudy> | null {
  const uid = studyUidOf(content)
  if (uid === null) return null
  const identifier = { system: 'urn:dicom:uid', value: `urn:oid:${uid}` }
  const accession = accessionOf(content, systems)
  const bySeries = Map.groupBy(dicomImages(content.images), ({ dicom }) => dicom.series)
  const modalities = [...new Set(dicomImages(content.images).map(({ image }) => image.instance?.modality ?? 'OT'))]
  const description = content.header && firstText(content.header, '00081030')
  const speech = speak(content.language)
  const count = dicomImages(content.images).length
  const covers = coversWords(speech, count, bySeries.size)
  return created<ImagingStudy>(fullUrl('study', uid), identifier, {
    resourceType: 'ImagingStudy',
    text: narrative(content.language, [[modalities.join(', '), description, covers].filter(Boolean).join(' · ')]),
    identifier: [identifier, ...(accession ? [accession] : [])],
    status: 'available',
    modality: modalities.sort().map(modality),
    subject,
    started: new Date(examinedAt(content)).toISOString(),
    numberOfSeries: bySeries.size,
    numberOfInstances: count,
    ...(description && { description }),
    series: [...bySeries].map(([series, images]) => ({
      uid: series,
      modality: modality(images[0]?.image.instance?.modality ?? null),
      numberOfInstances: images.length,
      instance: images.map(({ image, dicom }) => ({
        uid: dicom.sopInstance,
        sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${dicom.sopClass}` },
        ...(image.number !== null && image.number >= 0 && { number: image.number }),
      })),
    })),
  })
}

/** Once each: the same UID with other content is another instance here, not there. */
function dicomImages(images: readonly StudyImage[]) {
  const all = images.flatMap(image => (image.instance?.dicom ? [{ image, dicom: image.instance.dicom }] : []))
  return [...new Map(all.map(one => [one.dicom.sopInstance, one])).values()]
}
