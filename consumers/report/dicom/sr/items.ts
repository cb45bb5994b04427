/** Content items of structured reports (PS3.3 C.17.3). */
import type { Code } from '../../study/format.ts'
import { codeItem } from '../codes.ts'
import { reference } from '../common.ts'
import { lines } from '../text.ts'
import type { DataSet } from '../write.ts'

type Relationship = 'CONTAINS' | 'HAS OBS CONTEXT' | 'HAS CONCEPT MOD' | 'HAS ACQ CONTEXT' | 'SELECTED FROM'

const item = (relationship: Relationship, type: string, name: Code | null, over: DataSet): DataSet => ({
  RelationshipType: relationship,
  ValueType: type,
  ...(name && { ConceptNameCodeSequence: codeItem(name) }),
  ...over,
})

/** @param template its number in PS3.16, where it begins one */
export const container = (name: Code, children: readonly DataSet[], template?: number): DataSet =>
  item('CONTAINS', 'CONTAINER', name, {
    ContinuityOfContent: 'SEPARATE',
    ...(template !== undefined && {
      ContentTemplateSequence: { MappingResource: 'DCMR', TemplateIdentifier: String(template) },
    }),
    ...(children.length > 0 && { ContentSequence: children }),
  })

export const text = (relationship: Relationship, name: Code, value: string): DataSet =>
  item(relationship, 'TEXT', name, { TextValue: lines(value) || '-' })

export const coded = (
  relationship: Relationship,
  name: Code,
  value: Code,
  children: readonly DataSet[] = [],
): DataSet =>
  item(relationship, 'CODE', name, {
    ConceptCodeSequence: codeItem(value),
    ...(children.length > 0 && { ContentSequence: children }),
  })

export const uid = (relationship: Relationship, name: Code, value: string): DataSet =>
  item(relationship, 'UIDREF', name, { UID: value })

export const number = (
  relationship: Relationship,
  name: Code,
  value: number,
  unit: Code,
  children: readonly DataSet[] = [],
): DataSet =>
  item(relationship, 'NUM', name, {
    MeasuredValueSequence: { NumericValue: value, MeasurementUnitsCodeSequence: codeItem(unit) },
    ...(children.length > 0 && { ContentSequence: children }),
  })

/** @param frames counted from 1, of a multi-frame image */
export const image = (
  relationship: Relationship,
  name: Code | null,
  of: { sopClass: string; sopInstance: string },
  { frames = [], children = [] }: { frames?: readonly number[]; children?: readonly DataSet[] } = {},
): DataSet =>
  item(relationship, 'IMAGE', name, {
    ReferencedSOPSequence: { ...reference(of), ...(frames.length > 0 && { ReferencedFrameNumber: frames }) },
    ...(children.length > 0 && { ContentSequence: children }),
  })

/** @param points x, y, x, y …; column and row, 0 at the upper left corner of the upper left pixel */
export const outline = (
  name: Code,
  points: readonly number[],
  of: { sopClass: string; sopInstance: string; frames: readonly number[] },
  purpose: Code,
): DataSet =>
  item('CONTAINS', 'SCOORD', name, {
    GraphicType: 'POLYLINE',
    GraphicData: points,
    ContentSequence: image('SELECTED FROM', purpose, of, { frames: of.frames }),
  })
