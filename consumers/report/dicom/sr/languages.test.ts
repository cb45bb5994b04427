import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStores, type Stores } from '../../../../tests/harness/stores.ts'
import { aContent, aFinding, images as numbered, withFindings } from '../../../../tests/reports/content.ts'
import { attributesOf, treeOf } from '../../../../tests/reports/objects.ts'
import type { StudyContent } from '../../study/format.ts'
import { structuredReport } from './report.ts'

let stores: Stores
beforeAll(async () => {
  stores = await openStores()
})
afterAll(() => stores.close())

const read = (of: StudyContent) => attributesOf(stores, structuredReport({ content: of, version: '0.1.0' }))

describe('a structured report in another language', () => {
  it('speaks the language of the settings, and says which', async () => {
    const tree = treeOf(await read(aContent({ language: 'fr' })))
    expect(tree).toContain('  CODE Language of Content Item and Descendants = French')
    expect(tree.join('\n')).toContain('TEXT Comment = Préliminaire : établi par un logiciel.')
  })

  it.each([
    ['fr', 'Une personne est incertaine.', 'Une personne n’est pas d’accord.', 'Seules les 20 images les plus sûres'],
    ['es', 'Una persona no está segura.', 'Una persona no está de acuerdo.', 'Aquí se citan solo las 20 imágenes'],
  ] as const)('has no comment that is left in English: %s', async (language, unsure, disagrees, surest) => {
    const verdicts = [
      { verdict: 'agreed' as const, label: null, at: 0 },
      { verdict: 'unsure' as const, label: null, at: 0 },
      { verdict: 'corrected' as const, label: null, at: 0 },
      { verdict: 'corrected' as const, label: 'normal', at: 0 },
    ]
    const images = numbered(25, { quality: ['near-threshold'] }).map((image, i) => ({
      ...image,
      said: image.said.map(one => ({ ...one, verdict: verdicts[i] ?? null })),
    }))
    const instances = images.map(({ id }) => id)
    const over = { instances, positive: 25, analysed: 25, corrected: 2, quality: ['near-threshold'] }
    const of = withFindings([aFinding(over), aFinding({ ...over, rule: 'count', group: 'L' })], { images })
    const comments = async (one: StudyContent) =>
      treeOf(await read(one)).flatMap(line => line.split('TEXT Comment = ').slice(1))
    const [english, said] = [await comments(of), await comments({ ...of, language })]
    expect(said).toHaveLength(english.length)
    expect(said.filter(line => english.includes(line))).toEqual([])
    expect(said.join('\n')).not.toMatch(/\b(the|are|images? that|People|person|Quality|Rule|named)\b/)
    expect(said).toEqual(expect.arrayContaining([unsure, disagrees]))
    expect(said.join('\n')).toContain(surest)
    expect(english).toEqual(expect.arrayContaining(['A person is unsure.', 'A person disagrees.']))
  })
})
