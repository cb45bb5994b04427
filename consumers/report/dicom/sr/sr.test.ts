import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../../../producers/simulator/phantoms.ts'
import type { DicomAttributes } from '../../../../schemas/dicom-json.ts'
import { ids, uids } from '../../../../schemas/ids.ts'
import { openStores, type Stores } from '../../../../tests/harness/stores.ts'
import { aContent, aFinding, images as numbered, withFindings } from '../../../../tests/reports/content.ts'
import { type KeepOptions, keepStudy } from '../../../../tests/reports/kit.ts'
import { attributesOf, itemsOf, treeOf } from '../../../../tests/reports/objects.ts'
import { gatherStudy } from '../../study/content.ts'
import type { StudyContent } from '../../study/format.ts'
import { structuredReport } from './report.ts'

let stores: Stores
beforeAll(async () => {
  stores = await openStores()
})
afterAll(() => stores.close())

const options = { showNames: false, researchUseOnly: true, language: 'en' as const, earlierStudies: 5, codes: {} }

let studies = 0
async function content(count: number, keep: KeepOptions = {}): Promise<StudyContent> {
  studies += 1
  const study = studies
  const files = Array.from({ length: count }, (_, i) => chestDicom(study * 100 + i, { study, size: 32 }))
  return gatherStudy(stores, options, (await keepStudy(stores, files, keep)).assessed, null)
}

/** The measurement groups, each as lines. */
function groupsIn(found: DicomAttributes): string[][] {
  const measured = itemsOf(found, '0040A730').find(item => treeOf(item)[0] === 'CONTAINER Imaging Measurements')
  return itemsOf(measured, '0040A730').map(group => treeOf(group))
}
const groupsOf = async (of: StudyContent) => groupsIn(await read(of))

const read = (of: StudyContent) => attributesOf(stores, structuredReport({ content: of, version: '0.1.0' }))

describe('a structured report', () => {
  it('is filed with its study: patient, study and accession as the images have them, in a series of its own', async () => {
    const of = await content(2)
    const found = await read(of)
    for (const tag of ['00100010', '00100020', '00100030', '00080050', '0020000D', '00080020', '00081030'])
      expect(found[tag], tag).toEqual(of.header?.[tag])
    expect(found['00080005']?.Value).toEqual(['ISO_IR 192'])
    expect(found['00080060']?.Value).toEqual(['SR'])
    expect(found['0020000E']?.Value).toEqual([uids.reportSeries(of.assessed.study, 'dicom-sr')])
    expect(found['00080018']?.Value).toEqual([uids.report(of.assessed.study, 1, 'dicom-sr', null)])
    expect(found['0040A493']?.Value).toEqual(['UNVERIFIED'])
    expect(found['0040A491']?.Value).toEqual(['COMPLETE'])
    expect(itemsOf(itemsOf(itemsOf(found, '0040A375')[0], '00081115')[0], '00081199')).toHaveLength(2)
  })

  it('says of each finding what, how surely, by which algorithm, and from which images', async () => {
    const of = await content(2)
    const tree = treeOf(await read(of))
    for (const said of [
      'CONTAINER Imaging Measurement Report',
      '  CODE Observer Type = Device',
      '  TEXT Device Observer Name = Raylog',
      '  CODE Procedure reported = Plain radiography',
      '      CODE Finding = Pneumonia',
      '      CODE Finding Site = Chest',
      '      TEXT Algorithm Name = chest',
      '      TEXT Algorithm Version = 1.0.0',
      `      TEXT Algorithm Parameters = weights SHA-256 ${'d'.repeat(64)}`,
      '      TEXT Algorithm Parameters = threshold 0.5',
      '      NUM Certainty of Finding = 91',
      '      CODE Presence = Present',
      `      IMAGE Source = ${of.images[1]?.instance?.dicom?.sopInstance}`,
      '  TEXT Comment = RESEARCH USE ONLY. Not a medical device. Made by research models: not for diagnosis, treatment or any other decision about a patient.',
      '  TEXT Comment = Preliminary: made by software. No person has verified it.',
    ])
      expect(tree).toContain(said)
    // One group of the finding, and one of each answer.
    expect(tree.filter(line => line.includes('Measurement Group'))).toHaveLength(3)
  })

  it('names the surest images of a finding, in that order, and says where there are more', async () => {
    const images = numbered(25)
    const instances = images.map(({ id }) => id).reverse()
    const sourcesOf = async (of: StudyContent) =>
      ((await groupsOf(of))[0] ?? []).filter(line => line.includes('IMAGE Source'))
    const many = withFindings([aFinding({ instances, positive: 25, analysed: 25 })], { images })
    expect(await sourcesOf(many)).toEqual(Array.from({ length: 20 }, (_, i) => `  IMAGE Source = 1.2.3.1.${25 - i}`))
    const surest = /The 20 surest images are named here\./
    expect((await groupsOf(many))[0]?.join('\n')).toMatch(surest)
    // Of which only 15 can be named: all of them are.
    const erased = images.map((one, i) => (i < 10 ? { ...one, instance: null } : one))
    const [few = []] = await groupsOf({ ...many, images: erased })
    expect(few.filter(line => line.includes('IMAGE Source'))).toHaveLength(15)
    expect(few.join('\n')).not.toMatch(surest)
  })

  it('says how certain it is of what it says: of an absent finding, that it is absent', async () => {
    const of = withFindings([aFinding({ score: 0.91 }), aFinding({ present: false, score: 0.2 })])
    const [present, absent] = await groupsOf(of)
    expect(present).toEqual(expect.arrayContaining(['  NUM Certainty of Finding = 91', '  CODE Presence = Present']))
    expect(absent).toEqual(expect.arrayContaining(['  NUM Certainty of Finding = 80', '  CODE Presence = Absent']))
  })

  it('has of an answer with regions the answer too: label, confidence, flags, and what a person said', async () => {
    const regions = [1, 2].map(i => ({ label: 'mass', score: 0.8, frame: 1, points: [i, 2, 30, 2, 30, 20] }))
    const [image] = numbered(1, { regions, quality: ['near-threshold'] })
    if (!image) throw new Error('one image')
    const said = image.said.map(one => ({ ...one, verdict: { verdict: 'agreed' as const, label: null, at: 0 } }))
    const [, answer, ...marked] = await groupsOf(aContent({ images: [{ ...image, said }] }))
    expect(answer).toEqual(
      expect.arrayContaining([
        '  CODE Finding = Pneumonia',
        '  NUM Certainty of Finding = 91',
        '  IMAGE Source = 1.2.3.1.1',
        '  TEXT Comment = Quality: near the threshold: read this result as uncertain.',
        '  TEXT Comment = A person agrees.',
      ]),
    )
    expect(marked.map(lines => lines.filter(line => line.includes('SCOORD')))).toEqual(
      [1, 2].map(i => [`  SCOORD Image Region = ${i},2,30,2,30,20,${i},2`]),
    )
  })

  it('has answers up to its bound, each with all of its regions, and is partial where it has not all', async () => {
    const region = { label: 'mass', score: 0.8, frame: 1, points: [1, 2, 30, 2, 30, 20] }
    const all = aContent({ images: numbered(100, { regions: Array.from({ length: 5 }, () => region) }) })
    const whole = await read(all)
    expect(groupsIn(whole)).toHaveLength(1 + 100 * (1 + 5))
    expect(whole['0040A491']?.Value).toEqual(['COMPLETE'])

    const more = aContent({ images: numbered(201) })
    const said = 'Of 201 answers about single images 200 are in it.'
    const found = await read(more)
    expect(groupsIn(found)).toHaveLength(1 + 200)
    expect(found['0040A491']?.Value).toEqual(['PARTIAL'])
    expect(found['0040A492']?.Value).toEqual([said])
    expect(treeOf(found)).toContain(`  TEXT Comment = ${said}`)

    // Answers on what nothing can refer to are none that were left out for want of room.
    const images = numbered(201).map((one, i) =>
      i === 0 && one.instance ? { ...one, instance: { ...one.instance, dicom: null } } : one,
    )
    expect(treeOf(await read(aContent({ images }))).join('\n')).not.toContain('answers about single images')
  })

  it('has the regions of an image as outlines on it, closed', async () => {
    const region = { label: 'pneumonia', score: 0.8, frame: 1, points: [1, 2, 30, 2, 30, 20] }
    const tree = treeOf(await read(await content(1, { said: () => ({ regions: [region] }) })))
    expect(tree).toContain('      SCOORD Image Region = 1,2,30,2,30,20,1,2')
    expect(tree).toContain('      NUM Certainty of Finding = 80')
  })

  it('of a label that no scheme has is coded in a scheme of ours, always by the same code', async () => {
    const label = 'Затемнение, verdächtig \\ unklar'
    const said = () => ({ label, regions: [{ label, score: 1, frame: 1, points: [0, 0, 1, 0, 1, 1] }] })
    const of = await content(1, { said })
    const measured = itemsOf(await read(of), '0040A730').find(
      item => treeOf(item)[0] === 'CONTAINER Imaging Measurements',
    )
    const groups = itemsOf(measured, '0040A730')
    const finding = itemsOf(groups.at(-1), '0040A730').find(item => treeOf(item)[0]?.startsWith('CODE Finding ='))
    expect(itemsOf(finding, '0040A168')[0]).toMatchObject({
      '00080100': { Value: [expect.stringMatching(/^L[0-9a-f]{15}$/)] },
      '00080102': { Value: ['99RAYLOG'] },
      '00080104': { Value: ['Затемнение, verdächtig / unklar'] },
    })
  })

  it('of a later revision names the report that it takes the place of', async () => {
    const of = await content(1)
    const reports = [
      {
        id: ids.studyReport('x', 'dicom-sr', null),
        format: 'dicom-sr',
        part: null,
        object: 'x',
        bytes: 1,
        revision: 2,
      },
    ]
    const assessed = { ...of.assessed, revision: 3 }
    const found = await read({ ...of, assessed, predecessor: { revision: 2, reports } })
    const [document] = itemsOf(itemsOf(itemsOf(found, '0040A360')[0], '00081115')[0], '00081199')
    expect(document?.['00081155']?.Value).toEqual([uids.report(assessed.study, 2, 'dicom-sr', null)])
    expect(treeOf(found)).toContain(
      '  TEXT Comment = Revision 3: replaces revision 2. Made by software; no person has verified it.',
    )
    // The revision before had none: that of the one before it still stands in the PACS.
    const older = await read({
      ...of,
      assessed,
      predecessor: { revision: 2, reports: reports.map(one => ({ ...one, revision: 1 })) },
    })
    const [standing] = itemsOf(itemsOf(itemsOf(older, '0040A360')[0], '00081115')[0], '00081199')
    expect(standing?.['00081155']?.Value).toEqual([uids.report(assessed.study, 1, 'dicom-sr', null)])
    const without = await read({ ...of, assessed, predecessor: { revision: 2, reports: [] } })
    expect(without['0040A360']).toBeUndefined()
  })

  it('says that it is partial where images or answers are missing', async () => {
    const of = await content(2)
    const [first, second] = of.images
    if (!first || !second) throw new Error('two images')
    const missing = [{ instance: second.id, model: 'chest', code: null }]
    const images = [first, { ...second, instance: null, lost: 'The image was erased.', said: [] }]
    const found = await read({ ...of, images, assessed: { ...of.assessed, missing } })
    expect(found['0040A491']?.Value).toEqual(['PARTIAL'])
    expect(treeOf(found)).toContain(
      '  TEXT Comment = What is missing: chest: no answer on image 2 (not within the time).',
    )
    expect(treeOf(found)).toContain('  TEXT Comment = 1 image was erased and is not in it.')
  })

  it('has names of every script whole, and leaves out what breaks its VR', async () => {
    const of = await content(1)
    const name = { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }
    const header = {
      ...of.header,
      '00100010': { vr: 'PN', Value: [name] },
      '00101010': { vr: 'AS', Value: ['62'] },
      '00081030': { vr: 'LO', Value: ['Рентген грудной клетки'] },
    }
    const found = await read({ ...of, header })
    expect(found['00100010']?.Value).toEqual([name])
    expect(found['00081030']?.Value).toEqual(['Рентген грудной клетки'])
    expect(found['00101010']).toBeUndefined()
  })

  it('without a header that can be read is of whom persist knows', async () => {
    const of = await content(1)
    const found = await read({ ...of, header: null })
    expect(found['00100010']?.Value).toEqual([{ Alphabetic: of.identity?.name }])
    expect(found['0020000D']?.Value).toEqual([of.images[0]?.instance?.dicom?.study])
    expect(found['00080050']?.Value ?? []).toEqual([])
  })

  it('has the times of the images, where they say their offset', async () => {
    const of = await content(1)
    const header = { ...of.header, '00080201': { vr: 'SH', Value: ['-0330'] } }
    const found = await read({ ...of, header, madeAt: Date.UTC(2026, 0, 1, 2, 0, 0) })
    expect(found['00080023']?.Value).toEqual(['20251231'])
    expect(found['00080033']?.Value).toEqual(['223000.000'])
    expect(found['00080201']?.Value).toEqual(['-0330'])
    expect(found['0040A032']?.Value).toEqual(['20251231223000-0330'])
    expect((await read({ ...of, madeAt: Date.UTC(2026, 0, 1, 2, 0, 0) }))['0040A032']?.Value).toEqual([
      '20260101020000+0000',
    ])
  })

  it.each(['+0260', '+9900', '-1560', 'UTC', '+01:00', '+1'])(
    'neither uses nor repeats the offset %s',
    async offset => {
      const of = await content(1)
      const header = { ...of.header, '00080201': { vr: 'SH', Value: [offset] } }
      const found = await read({ ...of, header, madeAt: Date.UTC(2026, 0, 1, 2, 0, 0) })
      expect(found['00080201']).toBeUndefined()
      expect(found['00080033']?.Value).toEqual(['020000.000'])
      expect(found['0040A032']?.Value).toEqual(['20260101020000+0000'])
    },
  )

  it('is the same to the byte each time', async () => {
    const of = await content(2)
    const twice = [1, 2].map(() => structuredReport({ content: of, version: '0.1.0' }))
    expect(twice[0]?.equals(twice[1] ?? Buffer.alloc(0))).toBe(true)
  })
})
