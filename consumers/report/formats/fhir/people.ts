/** Patient and devices: who the study is of, and what looked at it. */
import type { Device, HumanName, Identifier, Patient, Reference } from '@medplum/fhirtypes'
import { type NameParts, nameOnALine, personForms } from '../../../../schemas/person-name.ts'
import { modelOf } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { isoDate } from '../../study/person.ts'
import { item, researchWords } from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import { created, type Entry, narrative } from './entry.ts'
import { codes, fullUrl, ours, patientSystem, type Systems } from './names.ts'

/**
 * Created only where the server has nobody of that identifier: what a hospital knows of its patient is not overwritten.
 * None where there is no patient id: it would be another patient with each report.
 */
export function patientEntry(content: StudyContent, systems: Systems): Entry<Patient> | null {
  const { identity, site } = content
  if (identity === null || identity.patientId === null) return null
  const { patientId, issuer, name, birthDate, sex } = identity
  const identifier: Identifier = {
    type: { coding: [codes.patientId] },
    system: patientSystem(systems, site, issuer),
    value: patientId,
    ...(issuer === null ? {} : { assigner: { display: issuer } }),
  }
  const born = isoDate(birthDate)
  const names = name === null ? [] : humanNames(name)
  const [first] = names
  return created(fullUrl('patient', site, issuer ?? '', patientId), identifier, {
    resourceType: 'Patient',
    text: narrative(content.language, [first?.text ?? patientId]),
    identifier: [identifier],
    ...(names.length > 0 && { name: names }),
    gender: genderOf(sex),
    ...(born !== null && { birthDate: born }),
  })
}

const genderOf = (sex: string | null): NonNullable<Patient['gender']> =>
  sex === 'F' ? 'female' : sex === 'M' ? 'male' : sex === 'O' ? 'other' : 'unknown'

const representation = 'http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation'

function humanNames(text: string): HumanName[] {
  const { alphabetic, ideographic, phonetic } = personForms(text)
  const forms: [NameParts | null, string][] = [
    [alphabetic, 'ABC'],
    [ideographic, 'IDE'],
    [phonetic, 'SYL'],
  ]
  return forms.flatMap(([parts, valueCode]) => {
    if (parts === null) return []
    const given = [parts.given, parts.middle].filter(part => part !== '')
    return [
      {
        extension: [{ url: representation, valueCode }],
        use: 'official' as const,
        text: nameOnALine(parts),
        ...(parts.family !== '' && { family: parts.family }),
        ...(given.length > 0 && { given }),
        ...(parts.prefix !== '' && { prefix: [parts.prefix] }),
        ...(parts.suffix !== '' && { suffix: [parts.suffix] }),
      },
    ]
  })
}

/** To the patient of the bundle; else by pseudonym; else in words. */
export function subjectOf({ assessed, language }: StudyContent, patient: Entry<Patient> | null): Reference<Patient> {
  if (patient) return { reference: patient.fullUrl }
  if (assessed.patient === null) return { display: speak(language).say('noPatient') }
  return { type: 'Patient', identifier: { system: ours.pseudonym, value: assessed.patient } }
}

/** By `name@version`: every model that said something. The digest of its weights is known from what it said. */
export function modelEntries(content: StudyContent): Map<string, Entry<Device>> {
  const digests = new Map(
    content.images.flatMap(({ said }) =>
      said.map(({ prediction: { model } }): [string, string] => [`${model.name}@${model.version}`, model.digest]),
    ),
  )
  const models = [...new Set([...content.assessed.findings.map(({ model }) => model), ...digests.keys()])].sort()
  return new Map(models.map(model => [model, modelEntry(content, model, digests.get(model))]))
}

function modelEntry({ language, researchUseOnly }: StudyContent, model: string, digest: string | undefined) {
  const { name, version } = modelOf(model)
  const speech = speak(language)
  const identifier = { system: ours.model, value: digest === undefined ? model : `${model}#sha256:${digest}` }
  const weights = digest === undefined ? [] : [item(speech, 'weights', digest)]
  const research = researchUseOnly ? [researchWords(speech)] : []
  return created<Device>(fullUrl('model', identifier.value), identifier, {
    resourceType: 'Device',
    text: narrative(language, [model]),
    identifier: [identifier],
    status: 'active',
    deviceName: [{ name, type: 'model-name' }],
    type: { coding: [codes.software], text: speech.say('model') },
    ...(version !== '' && { version: [{ value: version }] }),
    ...(weights.length + research.length > 0 && { note: [...weights, ...research].map(text => ({ text })) }),
  })
}

/** Raylog itself, which put the report together. */
export function assemblerEntry({ language }: StudyContent): Entry<Device> {
  const identifier = { system: ours.software, value: 'raylog' }
  return created<Device>(fullUrl('software'), identifier, {
    resourceType: 'Device',
    text: narrative(language, ['Raylog']),
    identifier: [identifier],
    status: 'active',
    deviceName: [{ name: 'Raylog', type: 'user-friendly-name' }],
    type: { coding: [codes.software] },
  })
}
