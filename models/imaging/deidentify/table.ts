/** PS3.15 table E.1-1 and what it makes of an attribute, given the options. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { DeidentifyOption } from '../../../schemas/deidentify.ts'

const code = z.enum(['K', 'C', 'X'])
const rowSchema = z.object({
  tag: z.string(),
  name: z.string(),
  vr: z.string(),
  basic: z.enum(['X', 'Z', 'D', 'U', 'X/Z', 'X/D', 'X/Z/D', 'Z/D', 'X/Z/U*']),
  uids: code.optional(),
  device: code.optional(),
  institution: code.optional(),
  patient: code.optional(),
  fullDates: code.optional(),
  shiftedDates: code.optional(),
  descriptors: code.optional(),
  structured: code.optional(),
})

export type Row = z.infer<typeof rowSchema>

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))

const table = z.object({ edition: z.string(), rows: z.array(rowSchema) }).parse(read('./table.json'))

/** Every row of the table, as the standard has it. */
export const rows: readonly Row[] = table.rows

const byTag = new Map(rows.map(row => [row.tag, row]))

const vrs = new Map(
  Object.entries(z.record(z.string(), z.string()).parse(read('./vrs.json'))).flatMap(([vr, tags]) =>
    tags.split(' ').map(tag => [tag, vr] as const),
  ),
)

/** By the data dictionary (PS3.6); undefined for what it does not know. */
export const vrOf = (tag: string): string | undefined => vrs.get(tag)

/** @param tag eight hexadecimal digits, such as 00100010 */
export function rowOf(tag: string): Row | undefined {
  const group = Number.parseInt(tag.slice(0, 4), 16)
  // Devices go on past the 16 groups that the standard gives curves and overlays.
  if (group >= 0x5000 && group <= 0x50ff) return byTag.get('50xxxxxx')
  if (group >= 0x6000 && group <= 0x60ff) return byTag.get('60xx3000')
  return byTag.get(tag)
}

/**
 * What is done to one attribute. `U` also for what lies within sequences that are kept for their references; `shift` dates,
 * `words` descriptions by vocabulary, `content` structured content: the three ways of cleaning that are offered.
 */
export type Action = 'keep' | 'remove' | 'empty' | 'dummy' | 'uid' | 'shift' | 'words' | 'content'

const keepers = [
  ['retain-uids', 'uids'],
  ['retain-device', 'device'],
  ['retain-institution', 'institution'],
  ['retain-patient-characteristics', 'patient'],
  ['retain-full-dates', 'fullDates'],
] as const

const texts = new Set(['LO', 'LT', 'SH', 'ST', 'UC', 'UT', 'CS'])
const times = new Set(['DA', 'DT', 'TM'])

/** PS3.15 table E.1-1, with K before C before the basic profile. */
export function actionOf(row: Row, vr: string, options: ReadonlySet<DeidentifyOption>): Action {
  if (keepers.some(([option, column]) => options.has(option) && row[column] === 'K')) return 'keep'
  if (options.has('shift-dates') && row.shiftedDates === 'C' && times.has(vr)) return 'shift'
  if (options.has('clean-descriptors') && row.descriptors === 'C' && texts.has(vr)) return 'words'
  if (options.has('clean-structured-content') && row.structured === 'C' && vr === 'SQ') return 'content'
  // An empty sequence is allowed where type 2 asks for one, and nowhere else (PS3.5 7.5.1).
  if (vr === 'SQ' && row.basic === 'X/Z' && row.tag !== '00400555') return 'remove'
  return basic(row.basic)
}

/**
 * Where the code leaves a choice by the attribute's type in the IOD, that which is right for the strictest type: a dummy
 * satisfies all of them, an empty value all but type 1 (PS3.15 E.1.1, note on X/Z, X/D, X/Z/D and Z/D).
 */
function basic(code: Row['basic']): Action {
  switch (code) {
    case 'X':
      return 'remove'
    case 'Z':
    case 'X/Z':
      return 'empty'
    case 'U':
      return 'uid'
    case 'X/Z/U*':
      return 'keep' // the sequence, with the UIDs in it replaced
    default:
      return 'dummy'
  }
}

/** VRs whose values are treated by their VR: none of them may pass for something else. */
const telling = new Set(['DA', 'DT', 'PN', 'SQ', 'UI', 'UR'])

/**
 * The same for what the table does not know: names, dates and UIDs are treated as their like, the rest is kept; but what the
 * data dictionary does not know either, or knows as a name or the like where another VR stands, is nothing that can be judged.
 * @param said the VR that stands in the data set, if any does
 */
export function actionOfUnlisted(
  tag: string,
  vr: string,
  said: string | undefined,
  options: ReadonlySet<DeidentifyOption>,
): Action {
  const known = vrOf(tag)
  if (known === undefined) return 'remove'
  if (said !== undefined && said !== 'UN' && said !== known && (telling.has(known) || telling.has(said)))
    return 'remove'
  return actionOfUnknown(vr, options)
}

export function actionOfUnknown(vr: string, options: ReadonlySet<DeidentifyOption>): Action {
  if (vr === 'PN') return 'empty'
  if (vr === 'UR') return 'remove' // an address may hold UIDs, accession numbers, names
  if (vr === 'UI') return options.has('retain-uids') ? 'keep' : 'uid'
  if (vr !== 'DA' && vr !== 'DT') return 'keep'
  if (options.has('retain-full-dates')) return 'keep'
  return options.has('shift-dates') ? 'shift' : 'dummy'
}
