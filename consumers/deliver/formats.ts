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

/** @returns a line for each destination that lacks a format */
export function notMade({ destinations }: DeliverConfig, made: readonly string[]): string[] {
  return destinations.flatMap(({ name, kind, rules }, at) => {
    const named = [...new Set(rules.flatMap(({ formats }) => formats))].filter(format => !made.includes(format))
    const kindTakes = takes[kind]
    const nothing = kindTakes && !made.some(format => kindTakes.test(format))
    if (named.length === 0 && !nothing) return []
    const lacking = named.length > 0 ? named.join(', ') : `anything that a destination of kind ${kind} takes`
    return [`deliver.destinations.${at}: ${name} is to get ${lacking}, which is not made; name it in report.formats`]
  })
}
