/**
 * What the templates of PS3.16 ask for, and IHE AIR of those who use them: which template each container begins, the rows that
 * they must have, by code and relationship, and the algorithms as contributing equipment.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { uids } from '../../../../schemas/ids.ts'
import { openStores, type Stores } from '../../../../tests/harness/stores.ts'
import { aFinding, images, withFindings } from '../../../../tests/reports/content.ts'
import { attributesOf, itemsOf } from '../../../../tests/reports/objects.ts'
import { structuredReport } from './report.ts'

let stores: Stores
let report: DicomAttributes
const region = { label: 'mass', score: 0.8, frame: 1, points: [1, 2, 30, 2, 30, 20] }
beforeAll(async () => {
  stores = await openStores()
  const content = withFindings([aFinding({}), aFinding({ present: false, score: 0.2 })], {
    images: images(2, { regions: [region] }),
  })
  report = await attributesOf(stores, structuredReport({ content, version: '0.1.0' }))
})
afterAll(() => stores.close())

const first = (item: DicomAttributes | undefined, tag: string) => item?.[tag]?.Value?.[0]
const codeIn = (item: DicomAttributes, tag: string) => {
  const [code] = itemsOf(item, tag)
  return `${first(code, '00080102')} ${first(code, '00080100')}`
}
/** Relationship, value type and code of the concept's name: `CONTAINS NUM DCM 111012`. */
const row = (item: DicomAttributes) =>
  [
    first(item, '0040A010'),
    first(item, '0040A040'),
    itemsOf(item, '0040A043').length === 0 ? undefined : codeIn(item, '0040A043'),
  ]
    .filter(Boolean)
    .join(' ')
const childrenOf = (item: DicomAttributes | undefined) => itemsOf(item, '0040A730')
const rowsOf = (item: DicomAttributes | undefined) => childrenOf(item).map(row)
const child = (item: DicomAttributes, of: string) =>
  childrenOf(item).find(one => row(one) === of) ?? expect.unreachable(`no ${of}`)
const templateOf = (item: DicomAttributes) => {
  const [template] = itemsOf(item, '0040A504')
  return template && `${first(template, '00080105')} ${first(template, '0040DB00')}`
}
const groups = () => childrenOf(child(report, 'CONTAINS CONTAINER DCM 126010'))
const groupsBy = (template: string) => groups().filter(one => templateOf(one) === template)

/** TID 4019: those that it must have. */
const algorithm = ['HAS CONCEPT MOD TEXT DCM 111001', 'HAS CONCEPT MOD TEXT DCM 111003']
/** AIR: what is found again is known by both. */
const tracked = ['HAS OBS CONTEXT TEXT DCM 112039', 'HAS OBS CONTEXT UIDREF DCM 112040']
const finding = 'CONTAINS CODE DCM 121071'
const certainty = 'CONTAINS NUM DCM 111012'

describe('a structured report', () => {
  it('is a Measurement Report (TID 1500) in a Comprehensive 3D SR, with all that one must have', () => {
    expect(first(report, '00080016')).toBe('1.2.840.10008.5.1.4.1.1.88.34')
    expect(templateOf(report)).toBe('DCMR 1500')
    expect(row(report)).toBe('CONTAINER DCM 126000')
    expect(rowsOf(report)).toEqual(
      expect.arrayContaining([
        'HAS CONCEPT MOD CODE DCM 121049', // TID 1204
        ...['HAS OBS CONTEXT CODE DCM 121005', 'HAS OBS CONTEXT UIDREF DCM 121012'], // TID 1001, 1002, 1004
        'HAS CONCEPT MOD CODE DCM 121058',
        'CONTAINS CONTAINER DCM 126010',
      ]),
    )
    // What was examined, as AIR has it, not what examined it.
    expect(codeIn(child(report, 'HAS CONCEPT MOD CODE DCM 121058'), '0040A168')).toBe('SCT 168537006')
  })

  it('has its images in an Image Library (TID 1600), each group with its modality (TID 1602)', () => {
    const library = child(report, 'CONTAINS CONTAINER DCM 111028')
    expect(templateOf(library)).toBe('DCMR 1600')
    expect(rowsOf(library)).toEqual(['CONTAINS CONTAINER DCM 126200'])
    expect(rowsOf(childrenOf(library)[0])).toEqual([
      'HAS ACQ CONTEXT CODE DCM 121139',
      ...Array(2).fill('CONTAINS IMAGE'),
    ])
  })

  it('has no group but by TID 1501 and TID 1410', () => {
    expect(groups().map(one => `${row(one)}, ${templateOf(one)}`)).toEqual(
      // Two findings; of each of two images its answer, and the region in it.
      ['1501', '1501', '1501', '1410', '1501', '1410'].map(tid => `CONTAINS CONTAINER DCM 125007, DCMR ${tid}`),
    )
  })

  it('says of a finding and of an answer (TID 1501) what, how surely (TID 300), by which algorithm and from which images', () => {
    for (const group of groupsBy('DCMR 1501')) {
      const source = 'CONTAINS IMAGE SCT 260753009'
      expect(rowsOf(group)).toEqual(expect.arrayContaining([...tracked, finding, ...algorithm, certainty, source]))
      expect(codeIn(itemsOf(child(group, certainty), '0040A300')[0] ?? {}, '004008EA')).toBe('UCUM %')
    }
  })

  it('says of a region (TID 1410) where, on which image, and by TID 1419 how surely and by which algorithm', () => {
    for (const group of groupsBy('DCMR 1410')) {
      const outline = 'CONTAINS SCOORD DCM 111030'
      expect(rowsOf(group)).toEqual(expect.arrayContaining([...tracked, finding, ...algorithm, outline, certainty]))
      expect(rowsOf(child(group, outline))).toEqual(['SELECTED FROM IMAGE SCT 260753009'])
      expect(rowsOf(child(group, certainty))).toEqual(expect.arrayContaining(algorithm))
    }
  })

  it('names each model as contributing equipment, with a UID that other weights do not have', async () => {
    const equipment = itemsOf(report, '0018A001').map(item => ({
      purpose: codeIn(item, '0040A170'),
      ...{ made: first(item, '00080070'), model: first(item, '00081090'), version: first(item, '00181020') },
      uid: first(item, '00181002'),
    }))
    const chest = { purpose: '99IHE Newcode1', made: 'unknown', model: 'chest', version: '1.0.0' }
    expect(equipment).toEqual([{ ...chest, uid: uids.model('chest', '1.0.0', 'd'.repeat(64)) }])
    const model = { name: 'chest', version: '1.0.0', digest: 'e'.repeat(64), runtime: 'onnx' }
    const content = withFindings([aFinding()], { images: images(2, { model }) })
    const other = await attributesOf(stores, structuredReport({ content, version: '0.1.0' }))
    const [changed] = itemsOf(other, '0018A001')
    expect([first(changed, '00081090'), first(changed, '00181020')]).toEqual(['chest', '1.0.0'])
    expect(first(changed, '00181002')).not.toBe(equipment[0]?.uid)
  })

  it('names a model of which no answer is here too', async () => {
    const content = withFindings([aFinding({ model: 'breast@2.0.0' })], { images: images(1) })
    const other = await attributesOf(stores, structuredReport({ content, version: '0.1.0' }))
    expect(itemsOf(other, '0018A001').map(item => first(item, '00081090'))).toEqual(['breast', 'chest'])
  })
})
