/** Whether the reports are made at all that destinations are to be given: one that waits for nothing looks like one that is well. */
import { z } from 'zod'
import type { DeliverConfig, Destination } from './config.ts'

/** Of one prediction; always made. */
const ofPredictions = 'pdf'

const reportSection = z.looseObject({ formats: z.array(z.string()) })

/** The formats that the settings of `report` name, and what it makes in any case. */
export const madeBy = (section: unknown): string[] => [
  ofPredictions,
  ...(reportSection.safeParse(section).data?.formats ?? []),
]

/** What a kind can be given, where that is not everything. */
const takes: Partial<Record<Destination['kind'], RegExp>> = {
  dicom: /^dicom-/,
  stow: /^dicom-/,
  fhir: /^fhir$/,
  hl7: /^hl7$/,
}

/** @returns a line for each destination that is to get what it cannot be given: its kind takes no such format, or none is made */
export function notMade({ destinations }: DeliverConfig, made: readonly string[]): string[] {
  return destinations.flatMap(({ name, kind, rules }, at) => {
    const named = [...new Set(rules.flatMap(({ formats }) => formats))]
    const isTaken = (format: string) => takes[kind]?.test(format) ?? true
    const says = (what: string) => `deliver.destinations.${at}: ${name} is to get ${what}`
    const untaken = named.filter(format => !isTaken(format))
    if (untaken.length > 0) return [says(`${untaken.join(', ')}, which a destination of kind ${kind} does not take`)]
    const unmade = named.filter(format => !made.includes(format))
    if (unmade.length === 0 && made.some(isTaken)) return []
    const lacking = unmade.length > 0 ? unmade.join(', ') : `anything that a destination of kind ${kind} takes`
    return [says(`${lacking}, which is not made; name it in report.formats`)]
  })
}
