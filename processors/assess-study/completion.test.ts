/** Who says how many images a study is to have, and which of several reasons makes it complete. */
import { describe, expect, it } from 'vitest'
import type { Instance, StudyRequest } from '../../schemas/topics.ts'
import { anInstance } from '../../tests/gateway/samples.ts'
import { counts, expectedOf, freshState, type State, whyComplete, withImage, withRequest } from './completion.ts'
import { config } from './settings.ts'

const now = Date.UTC(2026, 0, 1)
const settings = config.parse({ rules: [{ modalities: ['MG'], images: 4 }] })

const request = (over: Partial<StudyRequest>): StudyRequest => ({
  ...{ id: 'rq', study: 'st', what: 'expect', images: null, source: null, priority: null, revision: null },
  ...{ actor: 'someone', at: now },
  ...over,
})
const expecting = (source: string | null, images: number | null) => (state: State) =>
  withRequest(state, request({ source, images }), now)
const ordered = (priority: 'routine' | 'urgent' | 'stat') => (state: State) =>
  withRequest(state, request({ priority, source: 'order' }), now)
const forced = (state: State) => withRequest(state, request({ what: 'complete', actor: 'dr' }), now)
/** An image of the modality, which may say how many the study has (Number of Study Related Instances). */
const image =
  (modality: string, studyInstances: number | null = null) =>
  (state: State) =>
    withImage(state, anInstance(1, { modality, studyInstances }), now, settings)
const told = (...moves: ((state: State) => State)[]): State =>
  moves.reduce((state, move) => move(state), freshState('st', now, settings))

describe('of several counts', () => {
  const [pacs, modality, order] = [expecting('pacs', 5), expecting('modality', 4), expecting('order', 3)]
  it.each([
    ['nobody', [], null],
    ['an order', [order], { images: 3, source: 'order' }],
    ['a modality', [modality], { images: 4, source: 'modality' }],
    ['a PACS', [pacs], { images: 5, source: 'pacs' }],
    ['a modality after an order', [order, modality], { images: 4, source: 'modality' }],
    ['an order after a modality', [modality, order], { images: 4, source: 'modality' }],
    ['a PACS after an order', [order, pacs], { images: 5, source: 'pacs' }],
    ['an order after a PACS', [pacs, order], { images: 5, source: 'pacs' }],
    ['a PACS after a modality', [modality, pacs], { images: 5, source: 'pacs' }],
    ['a modality after a PACS', [pacs, modality], { images: 5, source: 'pacs' }],
    ['all three', [modality, pacs, order], { images: 5, source: 'pacs' }],
    ['a PACS that has fewer than were made', [modality, expecting('pacs', 2)], { images: 2, source: 'pacs' }],
    ['the same, who says another number now', [pacs, expecting('pacs', 7)], { images: 7, source: 'pacs' }],
    ['somebody without a name', [expecting(null, 3)], { images: 3, source: 'order' }],
    ['the images themselves', [image('CT', 9)], { images: 9, source: 'modality' }],
    ['images that say several, of which the most', [image('CT', 9), image('CT', 8)], { images: 9, source: 'modality' }],
    ['an order for none, which says nothing', [expecting('order', 0)], null],
    ['an order without a number', [expecting('order', null)], null],
  ])('%s', (_, moves, expected) => {
    expect(expectedOf(told(...moves))).toEqual(expected)
  })
})

it.each([
  ['as it was said before the first image', [ordered('stat'), image('CT')], 'stat'],
  ['as it was said meanwhile', [image('CT'), ordered('urgent')], 'urgent'],
  ['as the highest of what was said', [ordered('urgent'), ordered('stat'), ordered('routine')], 'stat'],
  ['and a count takes it back from nobody', [ordered('stat'), expecting('order', 3)], 'stat'],
] as const)('is as urgent as its order: %s', (_, moves, priority) => {
  expect(told(...moves).priority).toBe(priority)
})

describe('a study is complete for the first of its reasons', () => {
  const order = expecting('order', 3)
  const byOrder = { images: 3, source: 'order' }
  it.each<[string, ((state: State) => State)[], number, ReturnType<typeof whyComplete>]>([
    ['nothing was announced', [image('CT')], 9, undefined],
    ['fewer than the count', [order], 2, undefined],
    ['the count', [order], 3, { completedBy: 'expected_count', actor: null, expected: byOrder }],
    ['more than the count', [order], 8, { completedBy: 'expected_count', actor: null, expected: byOrder }],
    ['fewer than the rule', [image('MG')], 3, undefined],
    ['the rule', [image('MG')], 4, { completedBy: 'rule', actor: null, expected: null }],
    ['a rule of another modality', [image('CT')], 4, undefined],
    [
      'the count before the rule',
      [image('MG'), order],
      3,
      { completedBy: 'expected_count', actor: null, expected: byOrder },
    ],
    [
      'the rule before the count',
      [image('MG'), expecting('pacs', 6)],
      4,
      { completedBy: 'rule', actor: null, expected: { images: 6, source: 'pacs' } },
    ],
    [
      'both at once: what was announced',
      [image('MG'), expecting('pacs', 4)],
      4,
      { completedBy: 'expected_count', actor: null, expected: { images: 4, source: 'pacs' } },
    ],
    ['a person before the count', [order, forced], 1, { completedBy: 'forced', actor: 'dr', expected: byOrder }],
    ['a person before the rule', [image('MG'), forced], 1, { completedBy: 'forced', actor: 'dr', expected: null }],
    ['a person with the count', [order, forced], 3, { completedBy: 'forced', actor: 'dr', expected: byOrder }],
    ['a person before there is an image', [forced], 0, undefined],
    [
      'a count that a PACS lowers',
      [expecting('modality', 5), expecting('pacs', 2)],
      2,
      {
        completedBy: 'expected_count',
        actor: null,
        expected: { images: 2, source: 'pacs' },
      },
    ],
    ['a count that a PACS raises', [expecting('modality', 2), expecting('pacs', 5)], 2, undefined],
  ])('%s', (_, moves, images, why) => {
    const state = told(...moves)
    expect(whyComplete(state, images)).toEqual(why)
    // Images are only counted where something may come of it.
    if (why) expect(counts(state)).toBe(true)
  })

  it('a number that the revision before had reached says nothing of what comes late', () => {
    const settled = { ...told(order), includes: { images: 3, answers: 3, verdictsTo: 0 } }
    expect(whyComplete(settled, 4)).toBeUndefined()
    expect(whyComplete(expecting('order', 5)(settled), 4)).toBeUndefined()
    expect(whyComplete(expecting('order', 5)(settled), 5)).toMatchObject({ completedBy: 'expected_count' })
    expect(whyComplete(forced(settled), 4)).toMatchObject({ completedBy: 'forced' })
  })
})

const dimse = { kind: 'dimse', peer: 'CT1' } as const
describe('a rule of the settings is of a study by', () => {
  it.each<[string, object, Partial<Instance>, Partial<Instance>]>([
    ['site', { sites: ['north', 'south'] }, { site: 'south' }, { site: 'main' }],
    ['kind of source', { sources: ['dimse', 'retrieve'] }, { source: dimse }, { source: { ...dimse, kind: 'upload' } }],
    ['peer', { peers: ['CT2', 'CT1'] }, { source: dimse }, { source: { ...dimse, peer: 'CT3' } }],
    ['modality', { modalities: ['MG', 'CR'] }, { modality: 'CR' }, { modality: 'CT' }],
    ['modality, where it has one', { modalities: ['MG'] }, { modality: 'MG' }, { modality: null }],
    [
      'all that it says',
      { sites: ['north'], sources: ['dimse'], peers: ['CT1'], modalities: ['MG'] },
      { site: 'north', source: dimse, modality: 'MG' },
      { site: 'north', source: { ...dimse, peer: 'CT2' }, modality: 'MG' },
    ],
  ])('%s', (_, rule, fits, not) => {
    const { rules } = config.parse({ rules: [{ ...rule, images: 4 }] })
    const ruled = (over: Partial<Instance>) =>
      withImage(freshState('st', now, settings), anInstance(1, over), now, { ...settings, rules }).ruleImages
    expect(ruled(fits)).toBe(4)
    expect(ruled(not)).toBeNull()
  })

  it('nothing where it names nothing, and the first that fits', () => {
    const { rules } = config.parse({ rules: [{ sites: ['north'], images: 4 }, { images: 3 }, { images: 2 }] })
    const ruled = (site: string) =>
      withImage(freshState('st', now, settings), anInstance(1, { site }), now, { ...settings, rules }).ruleImages
    expect([ruled('north'), ruled('main')]).toEqual([4, 3])
  })
})

it('the idle times that are built in are there for the modalities that the settings do not name', () => {
  expect(config.parse({ idleMs: { CT: 7_000, XA: 1_000 } }).idleMs).toMatchObject({
    ...{ CT: 7_000, XA: 1_000, MR: 300_000, DX: 15_000 },
  })
  expect(config.safeParse({ idleMs: { XA: 1 } }).success).toBe(false)
})
