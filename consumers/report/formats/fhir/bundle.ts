/** The transaction of a study (FHIR R4, 4.0.1): report, findings, study, patient, devices and where it all comes from. Pure. */
import type {
  Bundle,
  Device,
  DiagnosticReport,
  ImagingStudy,
  Observation,
  Patient,
  Provenance,
  ProvenanceEntity,
  Reference,
  Resource,
} from '@medplum/fhirtypes'
import { ids } from '../../../../schemas/ids.ts'
import { examinedAt } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import {
  conclusion,
  findingSentences,
  findingTitle,
  item,
  notes,
  standingOf,
  standingWords,
} from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import { type Entry, narrative, replaced } from './entry.ts'
import { findingEntries } from './findings.ts'
import { codes, fullUrl, labelConcept, ours, type Systems } from './names.ts'
import { assemblerEntry, modelEntries, patientEntry, subjectOf } from './people.ts'
import { accessionOf, studyEntry } from './study.ts'

export interface BundleOptions {
  systems: Systems
  pdf: Uint8Array | null
}

export function studyBundle(content: StudyContent, options: BundleOptions): Bundle {
  const patient = patientEntry(content, options.systems)
  const subject = subjectOf(content, patient)
  const study = studyEntry(content, subject, options.systems)
  const models = modelEntries(content)
  const assembler = assemblerEntry(content)
  const findings = findingEntries(content, { subject, study, models })
  const report = reportEntry(content, options, { subject, study, findings })
  const provenance = provenanceEntry(content, { report, findings, study, assembler, models: [...models.values()] })
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      ...(patient ? [patient] : []),
      ...(study ? [study] : []),
      ...models.values(),
      assembler,
      ...findings,
      report,
      provenance,
    ],
  }
}

const to = <R extends Resource>({ fullUrl: reference }: Entry<R>): Reference<R> => ({ reference })

interface ReportParts {
  subject: Reference<Patient>
  study: Entry<ImagingStudy> | null
  findings: readonly Entry<Observation>[]
}

/** One resource a study: a revision takes the place of the one before, which stays in the server's history. */
function reportEntry(
  content: StudyContent,
  { systems, pdf }: BundleOptions,
  { subject, study, findings }: ReportParts,
): Entry<DiagnosticReport> {
  const { assessed, madeAt, language, institution, site } = content
  const speech = speak(language)
  const identifier = { system: ours.study, value: assessed.study }
  const accession = accessionOf(content, systems)
  const said = findings.filter(({ resource }) => resource.status !== 'cancelled')
  const found = [...new Set(assessed.findings.filter(one => one.present).map(({ label }) => label))]
  return replaced<DiagnosticReport>(fullUrl('report', assessed.study), identifier, {
    resourceType: 'DiagnosticReport',
    language,
    text: narrative(language, reportLines(content)),
    identifier: [identifier, { system: ours.revision, value: assessed.id }],
    ...(accession && { basedOn: [{ type: 'ServiceRequest', identifier: accession }] }),
    status: standingOf(content),
    category: [{ coding: [codes.radiology] }],
    code: { coding: [codes.report], text: speech.say('title') },
    subject,
    effectiveDateTime: new Date(examinedAt(content)).toISOString(),
    issued: new Date(madeAt).toISOString(),
    performer: [{ type: 'Organization', display: institution ?? site }],
    ...(said.length > 0 && { result: said.map(to) }),
    ...(study && { imagingStudy: [to(study)] }),
    conclusion: [...conclusion(speech, content.assessed.findings), standingWords(speech, content)].join(' '),
    ...(found.length > 0 && { conclusionCode: found.map(label => labelConcept(label, content)) }),
    ...(pdf && { presentedForm: [attachment(content, pdf)] }),
  })
}

const attachment = ({ language, assessed, madeAt }: StudyContent, pdf: Uint8Array) => ({
  contentType: 'application/pdf',
  language,
  data: Buffer.from(pdf).toString('base64'),
  title: `${speak(language).say('title')} ${assessed.revision}`,
  creation: new Date(madeAt).toISOString(),
})

function reportLines(content: StudyContent): string[] {
  const speech = speak(content.language)
  const findings = content.assessed.findings.map(one =>
    [`${findingTitle(speech, one)}.`, ...findingSentences(speech, one)].join(' '),
  )
  return [...conclusion(speech, content.assessed.findings), ...findings, ...notes(speech, content)]
}

interface Origins {
  report: Entry<DiagnosticReport>
  findings: readonly Entry<Observation>[]
  study: Entry<ImagingStudy> | null
  assembler: Entry<Device>
  models: readonly Entry<Device>[]
}

/** One a revision. It has no identifier in R4, so that a tag says which it is. */
function provenanceEntry(
  { assessed, madeAt, language, predecessor }: StudyContent,
  { report, findings, study, assembler, models }: Origins,
): Entry<Provenance> {
  const tag = { system: ours.revision, code: assessed.id }
  // What the server has: the revision directly before has no bundle where it was refused.
  const standing = predecessor?.reports.find(({ format }) => format === 'fhir') ?? predecessor
  const before = standing && ids.studyRevision(assessed.study, standing.revision)
  const speech = speak(language)
  const names = models.flatMap(({ resource: { deviceName = [], version = [] } }) =>
    deviceName.map(({ name }) => [name, ...version.map(({ value }) => value)].join('@')),
  )
  const entity: ProvenanceEntity[] = [
    ...(study ? [{ role: 'source' as const, what: to(study) }] : []),
    ...(before === null
      ? []
      : [
          {
            role: 'revision' as const,
            what: { type: 'DiagnosticReport' as const, identifier: { system: ours.revision, value: before } },
          },
        ]),
  ]
  return {
    fullUrl: fullUrl('provenance', assessed.id),
    resource: {
      resourceType: 'Provenance',
      meta: { tag: [tag] },
      text: narrative(language, [`Raylog. ${item(speech, 'model', names.join(', '))}`]),
      target: [to(report), ...findings.map(to)],
      occurredDateTime: new Date(madeAt).toISOString(),
      recorded: new Date(madeAt).toISOString(),
      activity: { coding: [predecessor ? codes.update : codes.create] },
      agent: [
        { type: { coding: [codes.assembler] }, who: to(assembler) },
        ...models.map(model => ({ type: { coding: [codes.performer] }, who: to(model) })),
      ],
      ...(entity.length > 0 && { entity }),
    },
    request: {
      method: 'POST',
      url: 'Provenance',
      ifNoneExist: `_tag=${encodeURIComponent(`${tag.system}|${tag.code}`)}`,
    },
  }
}
