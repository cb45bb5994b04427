/** Reads DICOM objects of ours back, with the reader that images are read with. */
import { type DicomAttributes, type DicomValue, isPersonName } from '../../schemas/dicom-json.ts'
import type { Stores } from '../harness/stores.ts'

export async function attributesOf({ objects, images }: Stores, bytes: Buffer): Promise<DicomAttributes> {
  const object = await objects.put(bytes, 'application/dicom')
  return (await images.dicom.header(object, path => path)).attributes
}

export const itemsOf = (attributes: DicomAttributes | undefined, tag: string): DicomAttributes[] =>
  (attributes?.[tag]?.Value ?? []).filter(isItem)

const isItem = (value: DicomValue): value is DicomAttributes =>
  typeof value === 'object' && value !== null && !isPersonName(value)

/** Meaning of a code sequence's item. */
const meaning = (item: DicomAttributes, tag: string) => itemsOf(item, tag)[0]?.['00080104']?.Value?.[0]

/** A structured report as lines, indented: `CODE Finding = Pneumonia`. */
export function treeOf(item: DicomAttributes, depth = 0): string[] {
  const type = item['0040A040']?.Value?.[0]
  const value =
    meaning(item, '0040A168') ??
    item['0040A160']?.Value?.[0] ??
    item['0040A124']?.Value?.[0] ??
    itemsOf(item, '0040A300')[0]?.['0040A30A']?.Value?.[0] ??
    itemsOf(item, '00081199')[0]?.['00081155']?.Value?.[0] ??
    item['00700022']?.Value?.join(',')
  const name = meaning(item, '0040A043')
  const line = [`${'  '.repeat(depth)}${String(type)}`, name, value === undefined ? undefined : `= ${String(value)}`]
  return [
    line.filter(part => part !== undefined).join(' '),
    ...itemsOf(item, '0040A730').flatMap(child => treeOf(child, depth + 1)),
  ]
}
