/** What queries can be asked by, read from the beginning of an object (schemas/dicom-index.ts says which elements). */
import type { DataSet } from 'dicom-parser'
import { type IndexedAttribute, type IndexedValues, indexedAttributes } from '../../schemas/dicom-index.ts'
import type { DicomValue, PersonName } from '../../schemas/dicom-json.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { parseDataSet } from './dicom/dataset.ts'
import { type TextReader, textOf } from './dicom/text.ts'
import { identity, maxInflatedHead } from './header.ts'
import type { HeaderAttributes } from './port.ts'

const wanted = indexedAttributes.filter(({ computed }) => !computed)
/** Group 0040 stands behind the pixel description, and is wanted where the bytes reach it. */
const lastGroup = 0x40

/**
 * @param head first bytes of a DICOM object
 * @throws RaylogError truncated where the bytes end before the image is described (group 0028); not-an-image, malformed-dicom
 */
export async function readAttributes(head: Uint8Array, complete: boolean): Promise<HeaderAttributes> {
  const parsed = await parseDataSet(head, { lastGroup, complete, maxInflated: maxInflatedHead })
  const { cutAt, data } = parsed
  if (cutAt !== undefined && cutAt <= 0x28)
    throw new RaylogError('truncated', `the data end inside group ${cutAt.toString(16).padStart(4, '0')}`)
  const text = textOf(data)
  const values: IndexedValues = {}
  for (const attribute of wanted) {
    const found = valuesOf(data, text, attribute)
    if (found.length > 0) values[attribute.tag] = found
  }
  return { values, patient: identity(parsed) }
}

function valuesOf(data: DataSet, text: TextReader, { tag, vr }: IndexedAttribute): DicomValue[] {
  const key = `x${tag.toLowerCase()}`
  const element = data.elements[key]
  if (element === undefined || element.length === 0) return []
  if (vr === 'US')
    return Array.from({ length: Math.floor(element.length / 2) }, (_, index) => data.uint16(key, index) ?? 0)
  const whole = text(key, vr === 'PN' ? 'PN' : 'LO')
  if (whole === null) return []
  if (vr === 'LT') return [whole]
  const parts = whole.split('\\').map(part => part.replaceAll('\0', '').trim())
  if (vr === 'PN') return parts.map(personName)
  if (vr === 'IS' || vr === 'DS') return parts.map(Number).filter(Number.isFinite)
  return parts.every(part => part === '') ? [] : parts.map(part => (part === '' ? null : part))
}

/** Component groups (PS3.5 6.2.1): those that are empty are left out. */
export function personName(text: string): PersonName {
  const [alphabetic = '', ideographic = '', phonetic = ''] = text.split('=').map(group => group.trim())
  return {
    ...(alphabetic !== '' && { Alphabetic: alphabetic }),
    ...(ideographic !== '' && { Ideographic: ideographic }),
    ...(phonetic !== '' && { Phonetic: phonetic }),
  }
}
