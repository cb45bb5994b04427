/** An ORU^R01 of a study (HL7 2.5.1, chapter 7): patient, order, and what was found. Pure. */

import { anonymousId, names, short } from '../../../../hl7/fields.ts'
import {
  components,
  type Encoded,
  header,
  message,
  segment,
  subcomponents,
  timestamp,
} from '../../../../hl7/message.ts'
import { examinedAt } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import { isoDate } from '../../study/person.ts'
import { notes } from '../../texts/phrases.ts'
import { speak } from '../../texts/texts.ts'
import { type ResultOptions, resultSegments, statusOf } from './results.ts'

/** The same study and revision give the same message, its control id included: what is sent twice can be known as such. */
export function studyMessage(content: StudyContent, options: ResultOptions): string {
  const speech = speak(content.language)
  return message([
    headerSegment(content),
    ...patientSegment(content),
    ...orderSegments(content),
    ...notes(speech, content).map((note, i) => segment('NTE', { 1: i + 1, 2: 'L', 3: note })),
    ...timingSegment(content),
    ...resultSegments(speech, content, options),
  ])
}

function headerSegment({ assessed, site, madeAt }: StudyContent): string {
  return header({
    3: 'RAYLOG',
    4: site,
    7: timestamp(madeAt),
    9: components('ORU', 'R01', 'ORU_R01'),
    10: short(assessed.id),
    11: 'P',
    12: '2.5.1',
    18: 'UNICODE UTF-8',
  })
}

/** None where the images name nobody: the group is optional, and an invented patient would be worse. */
function patientSegment({ identity, assessed }: StudyContent): string[] {
  const pseudonym = assessed.patient === null ? null : anonymousId(assessed.patient)
  if (identity === null)
    return pseudonym === null ? [] : [segment('PID', { 1: 1, 3: pseudonym, 5: components(...unnamed, 'S') })]
  const { patientId, name, birthDate, sex } = identity
  const own = patientId === null ? pseudonym : components(patientId, null, null, authority(identity.issuer), 'PI')
  return [
    segment('PID', {
      1: 1,
      3: own,
      5: name === null ? components(...unnamed, 'U') : names(name),
      7: isoDate(birthDate)?.replaceAll('-', '') ?? null,
      8: sex !== null && ['F', 'M', 'O'].includes(sex) ? sex : 'U',
    }),
  ]
}

/** Before the name type code of a name that has nothing else (table 0200: S a pseudonym, U not told). */
const unnamed = [null, null, null, null, null, null] as const

/** An OID says of itself that it is one (HD). */
const authority = (issuer: string | null): Encoded =>
  issuer !== null && /^[0-9]+(\.[0-9]+)+$/.test(issuer)
    ? subcomponents(null, issuer, 'ISO')
    : subcomponents(issuer ?? null)

/**
 * ORC-3 and OBR-3 name the study in every revision, so that a correction is of the same order; the accession number
 * stands where radiology has it (OBR-18).
 */
function orderSegments(content: StudyContent): string[] {
  const { assessed, identity, header: read, madeAt } = content
  const filler = components(short(assessed.study), 'RAYLOG')
  const procedure = read && firstText(read, '00081030')
  return [
    segment('ORC', { 1: 'RE', 3: filler }),
    segment('OBR', {
      1: 1,
      3: filler,
      4: components('18748-4', 'Diagnostic imaging study', 'LN', null, procedure),
      7: timestamp(examinedAt(content)),
      18: identity?.accession ?? null,
      22: timestamp(madeAt),
      24: 'RAD',
      25: statusOf(content),
    }),
  ]
}

/** TQ1-9, table 0485. */
function timingSegment({ assessed: { priority } }: StudyContent): string[] {
  const codes = { routine: 'R', urgent: 'A', stat: 'S' } as const
  return [segment('TQ1', { 1: 1, 9: codes[priority] })]
}
