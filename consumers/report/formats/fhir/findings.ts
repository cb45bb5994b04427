/** Observations: one a finding, and one to take back what is no longer said. */
import type {
  CodeableConcept,
  Device,
  Identifier,
  ImagingStudy,
  Observation,
  ObservationComponent,
  Patient,
  Reference,
} from '@medplum/fhirtypes'
import type { StudyChanges, StudyFinding } from '../../../../schemas/topics.ts'
import { examinedAt, modelOf } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { findingSentences, findingTitle, groupWords, ruleWords, standingOf, subjectOf } from '../../texts/phrases.ts'
import { type Speech, speak } from '../../texts/texts.ts'
import { type Entry, narrative, replaced } from './entry.ts'
import { codes, fullUrl, labelConcept, ours } from './names.ts'

export interface Around {
  subject: Reference<Patient>
  study: Entry<ImagingStudy> | null
  /** By `name@version`. */
  models: ReadonlyMap<string, Entry<Device>>
}

type Named = Pick<StudyFinding, 'label' | 'group'> & { model: string }

/** The same finding keeps its identifier in every revision and with a new version of the model. */
const identify = (study: string, { model, label, group }: Named): Identifier => ({
  system: ours.finding,
  value: [study, model, label, group ?? ''].map(part => encodeURIComponent(part.toWellFormed())).join('/'),
})

export function findingEntries(content: StudyContent, around: Around): Entry<Observation>[] {
  const { assessed } = content
  const taken = new Set<string>()
  const stated = assessed.findings.map(finding => {
    const { name } = modelOf(finding.model)
    const usual = identify(assessed.study, { ...finding, model: name })
    // Two versions of a model in one study would be one resource.
    const identifier = taken.has(usual.value ?? '') ? identify(assessed.study, finding) : usual
    taken.add(identifier.value ?? '')
    return observationEntry(content, around, finding, identifier)
  })
  const gone = (assessed.changes?.findings ?? []).filter(({ after }) => after === null)
  const withdrawn = gone.flatMap(change => {
    const identifier = identify(assessed.study, change)
    return taken.has(identifier.value ?? '') ? [] : [withdrawnEntry(content, around, change, identifier)]
  })
  return [...stated, ...withdrawn]
}

function common(content: StudyContent, { subject, study }: Around, label: string) {
  const { madeAt, institution, site } = content
  const reference: Reference<ImagingStudy>[] = study ? [{ reference: study.fullUrl }] : []
  return {
    category: [{ coding: [codes.imaging] }],
    code: labelConcept(label, content),
    subject,
    effectiveDateTime: new Date(examinedAt(content)).toISOString(),
    issued: new Date(madeAt).toISOString(),
    performer: [{ type: 'Organization' as const, display: institution ?? site }],
    ...(reference.length > 0 && { derivedFrom: reference }),
  }
}

function observationEntry(
  content: StudyContent,
  around: Around,
  finding: StudyFinding,
  identifier: Identifier,
): Entry<Observation> {
  const speech = speak(content.language)
  const { label, model, present, group, rule } = finding
  const sentences = findingSentences(speech, finding)
  const device = around.models.get(model)
  const method = ruleWords(speech, rule)
  const side = sideOf(speech, group)
  return replaced<Observation>(fullUrl('finding', identifier.value ?? ''), identifier, {
    resourceType: 'Observation',
    text: narrative(content.language, [`${findingTitle(speech, finding)}.`, ...sentences]),
    identifier: [identifier],
    status: standingOf(content),
    ...common(content, around, label),
    valueCodeableConcept: { coding: [present ? codes.present : codes.absent], text: findingTitle(speech, finding) },
    interpretation: [{ coding: [present ? codes.positive : codes.negative] }],
    note: [{ text: sentences.join(' ') }],
    ...(side && { bodySite: side }),
    ...(method !== null && { method: { text: method } }),
    ...(device && { device: { reference: device.fullUrl } }),
    component: numbersOf(speech, finding),
  })
}

function sideOf(speech: Speech, group: string | null): CodeableConcept | null {
  const sides = { L: codes.left, R: codes.right, B: codes.both } as const
  const words = groupWords(speech, group)
  if (group === null || words === null) return null
  const coding = group === 'L' || group === 'R' || group === 'B' ? [sides[group]] : []
  return { ...(coding.length > 0 && { coding }), text: words }
}

/** There are no codes for these that everybody has: they are said in words. */
function numbersOf(speech: Speech, { score, threshold, positive, analysed }: StudyFinding): ObservationComponent[] {
  const quantity = (text: string, value: number): ObservationComponent[] =>
    Number.isFinite(value) ? [quantityOf(text, value)] : []
  const quantityOf = (text: string, value: number): ObservationComponent => ({
    code: { text },
    valueQuantity: { value: Number(value.toFixed(6)), unit: '1', system: 'http://unitsofmeasure.org', code: '1' },
  })
  return [
    ...quantity(speech.say('score'), score),
    ...(threshold === null ? [] : quantity(speech.say('threshold'), threshold)),
    {
      code: { text: speech.say('images') },
      valueRatio: { numerator: { value: positive }, denominator: { value: analysed } },
    },
  ]
}

/** A revision that no longer looks for something says so, or what the revision before said would stand for ever. */
function withdrawnEntry(
  content: StudyContent,
  around: Around,
  change: StudyChanges['findings'][number],
  identifier: Identifier,
): Entry<Observation> {
  const speech = speak(content.language)
  const text = speech.say('noLongerLooked', { label: subjectOf(speech, change) })
  return replaced<Observation>(fullUrl('finding', identifier.value ?? ''), identifier, {
    resourceType: 'Observation',
    text: narrative(content.language, [text]),
    identifier: [identifier],
    status: 'cancelled',
    ...common(content, around, change.label),
    dataAbsentReason: { coding: [codes.notPerformed], text },
  })
}
