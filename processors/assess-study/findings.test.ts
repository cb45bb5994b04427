import { describe, expect, it } from 'vitest'
import type { StudyAnswerDoc, StudyImageDoc, StudyVerdictDoc } from '../../schemas/study.ts'
import { chestModel } from '../../tests/gateway/samples.ts'
import { changedFindings, findingsOf } from './findings.ts'
import { config, findingRule } from './settings.ts'

const image = (n: number, over: Partial<StudyImageDoc> = {}): StudyImageDoc => ({
  ...{ id: `in_${n}`, study: 'st', series: '1.2', laterality: null, models: ['chest'], seenAt: n },
  ...over,
})

/** Of the model `chest`, whose positive label is pneumonia and whose threshold 0.5. */
const answer = (n: number, score: number, over: Partial<StudyAnswerDoc> = {}): StudyAnswerDoc => ({
  ...{ id: `pr_${n}`, study: 'st', instance: `in_${n}`, model: 'chest', version: '1.0.0', code: null, at: n },
  label: score >= 0.5 ? 'pneumonia' : 'normal',
  probabilities: { pneumonia: score, normal: 1 - score },
  ...{ score, threshold: 0.5, quality: [] },
  ...over,
})

const verdict = (n: number, label: string | null, over: Partial<StudyVerdictDoc> = {}): StudyVerdictDoc => ({
  ...{ id: `fb_${n}`, study: 'st', prediction: `pr_${n}`, label, at: n },
  verdict: label === null ? 'agreed' : 'corrected',
  ...over,
})

const images = [image(1), image(2), image(3)]
const found = (rule: object, answers: StudyAnswerDoc[], verdicts: StudyVerdictDoc[] = [], of = images) =>
  findingsOf({ images: of, answers, verdicts }, [findingRule.parse(rule)], [chestModel()])

describe('answers are drawn together by', () => {
  const answers = [answer(1, 0.2), answer(2, 0.9), answer(3, 0.6)]

  it('any: one image is enough; the score is the highest, the surest image is first', () => {
    expect(found({ by: 'any' }, answers)).toMatchObject([
      { label: 'pneumonia', present: true, score: 0.9, positive: 2, analysed: 3, instances: ['in_2', 'in_3'] },
    ])
    expect(found({ by: 'any' }, [answer(1, 0.2), answer(2, 0.4)])).toMatchObject([
      { present: false, score: 0.4, positive: 0, instances: ['in_2'] },
    ])
  })

  it('max: the highest score against a threshold that may be stricter than the model', () => {
    expect(found({ by: 'max', threshold: 0.95 }, answers)).toMatchObject([
      { present: false, score: 0.9, threshold: 0.95 },
    ])
    expect(found({ by: 'max' }, answers)).toMatchObject([{ present: true, threshold: 0.5 }])
  })

  it('mean: the mean of the scores against the threshold', () => {
    const [mean] = found({ by: 'mean' }, answers)
    expect(mean).toMatchObject({ present: true, rule: 'mean' })
    expect(mean?.score).toBeCloseTo((0.2 + 0.9 + 0.6) / 3)
    expect(found({ by: 'mean', threshold: 0.6 }, answers)).toMatchObject([{ present: false }])
  })

  it('count: so many images over the threshold', () => {
    expect(found({ by: 'count', atLeast: 2 }, answers)).toMatchObject([{ present: true, positive: 2 }])
    expect(found({ by: 'count', atLeast: 3 }, answers)).toMatchObject([{ present: false, positive: 2 }])
    expect(found({ by: 'count', atLeast: 2, threshold: 0.7 }, answers)).toMatchObject([{ present: false, positive: 1 }])
  })

  it('side, and by series: one finding for each', () => {
    const sides = [image(1, { laterality: 'R' }), image(2, { laterality: 'L' }), image(3, { laterality: 'L' })]
    expect(found({ per: 'laterality' }, answers, [], sides)).toMatchObject([
      { group: 'L', present: true, analysed: 2, instances: ['in_2', 'in_3'] },
      { group: 'R', present: false, analysed: 1, instances: ['in_1'] },
    ])
    const series = [image(1, { series: '1' }), image(2, { series: '2' }), image(3, { series: null })]
    expect(found({ per: 'series' }, answers, [], series)).toMatchObject([
      { group: null, present: true, analysed: 1, instances: ['in_3'] },
      { group: '1', present: false, analysed: 1, instances: ['in_1'] },
      { group: '2', present: true, analysed: 1, instances: ['in_2'] },
    ])
  })

  it('an image that does not say its side is of no side, and counts for none', () => {
    const sides = [image(1, { laterality: 'R' }), image(2), image(3, { laterality: 'R' })]
    expect(found({ per: 'laterality' }, answers, [], sides)).toMatchObject([
      { group: null, present: true, positive: 1, analysed: 1, instances: ['in_2'] },
      { group: 'R', present: true, positive: 1, analysed: 2, instances: ['in_3'] },
    ])
  })

  // Two images on the left, sure and sure not; two on the right, neither. Each rule says another thing of them.
  const pairs = [1, 2, 3, 4].map(n => image(n, { laterality: n < 3 ? 'L' : 'R', series: n < 3 ? '1' : '2' }))
  const scores = [answer(1, 0.95), answer(2, 0.05), answer(3, 0.55), answer(4, 0.6)]
  it.each<[object, number, boolean, number, boolean]>([
    [{ by: 'any' }, 0.95, true, 0.6, true],
    [{ by: 'any', threshold: 0.7 }, 0.95, true, 0.6, false],
    [{ by: 'max' }, 0.95, true, 0.6, true],
    [{ by: 'max', threshold: 0.7 }, 0.95, true, 0.6, false],
    [{ by: 'mean' }, 0.5, true, 0.575, true],
    [{ by: 'mean', threshold: 0.52 }, 0.5, false, 0.575, true],
    [{ by: 'count', atLeast: 2 }, 0.95, false, 0.6, true],
    [{ by: 'count', atLeast: 2, threshold: 0.58 }, 0.95, false, 0.6, false],
    [{ by: 'count', atLeast: 1, threshold: 0.58 }, 0.95, true, 0.6, true],
  ])('%o, of each side and of each series by itself', (rule, left, onTheLeft, right, onTheRight) => {
    for (const [per, groups] of [
      ['laterality', ['L', 'R']],
      ['series', ['1', '2']],
    ] as const) {
      const findings = found({ ...rule, per }, scores, [], pairs)
      expect(findings.map(({ group, present }) => [group, present])).toEqual([
        [groups[0], onTheLeft],
        [groups[1], onTheRight],
      ])
      expect(findings[0]?.score).toBeCloseTo(left)
      expect(findings[1]?.score).toBeCloseTo(right)
    }
  })
})

it('of a model without a positive label each label that was given is a finding', () => {
  const digit = (n: number, label: string) =>
    answer(n, 0.8, { model: 'digits', version: '1', label, threshold: null, probabilities: { [label]: 0.8 } })
  expect(found({}, [digit(1, '7'), digit(2, '7'), digit(3, '4')])).toMatchObject([
    { label: '4', present: true, positive: 1, threshold: null },
    { label: '7', present: true, positive: 2, instances: ['in_1', 'in_2'] },
  ])
})

describe('a person', () => {
  it('stands above the model, either way, and the last word counts', () => {
    const answers = [answer(1, 0.9), answer(2, 0.1)]
    expect(found({}, answers, [verdict(1, 'normal')])).toMatchObject([{ present: false, positive: 0, corrected: 1 }])
    expect(found({}, answers, [verdict(2, 'pneumonia')])).toMatchObject([{ present: true, positive: 2, corrected: 1 }])
    const later = verdict(1, null, { id: 'fb_other', at: 9 })
    expect(found({}, answers, [later, verdict(1, 'normal')])).toMatchObject([{ present: true, corrected: 0 }])
  })

  it.each([{ by: 'max' }, { by: 'mean' }, { by: 'count' }, { by: 'any' }])('stands above scores: %o', rule => {
    const [high, low] = [[answer(1, 0.9)], [answer(1, 0.1)]]
    // The score that is told stays the model's.
    expect(found(rule, high, [verdict(1, 'normal')])).toMatchObject([{ present: false, score: 0.9, corrected: 1 }])
    expect(found(rule, low, [verdict(1, 'pneumonia')])).toMatchObject([{ present: true, score: 0.1, corrected: 1 }])
  })

  it('who agrees changes nothing', () => {
    expect(found({}, [answer(1, 0.9)], [verdict(1, null)])).toEqual(found({}, [answer(1, 0.9)]))
  })
})

it('the newest answer of a model to an image counts; what was given up says nothing', () => {
  const answers = [
    answer(1, 0.9, { id: 'new', version: '1.1.0', at: 9 }),
    answer(1, 0.1),
    answer(2, 0, { code: 'x', model: '' }),
  ]
  expect(found({ labels: ['pneumonia'] }, answers)).toMatchObject([
    { model: 'chest@1.1.0', present: true, analysed: 1 },
  ])
})

it('a finding of a doubtful answer is marked as doubtful', () => {
  expect(found({}, [answer(1, 0.51, { quality: ['near-threshold'] })])).toMatchObject([{ quality: ['near-threshold'] }])
})

it('models without a rule are not looked at; the built-in models have one each', () => {
  expect(found({ models: ['other'] }, [answer(1, 0.9)])).toEqual([])
  const { findings } = config.parse({})
  for (const model of ['pneumonia', 'breast', 'digits']) {
    const [finding] = findingsOf(
      { images, answers: [answer(1, 0.9, { model, version: '1' })], verdicts: [] },
      findings,
      [],
    )
    expect(finding, model).toMatchObject({ priority: model === 'digits' ? 'routine' : 'urgent' })
  }
})

it('what changed is what came, went, or is found now and was not', () => {
  const [before] = found({}, [answer(1, 0.1)])
  const [after] = found({}, [answer(1, 0.9)])
  if (!before || !after) throw new Error('there are no findings')
  const other = { ...after, label: 'effusion' }
  expect(changedFindings([before], [after, other])).toEqual([
    { model: 'chest', label: 'pneumonia', group: null, before: false, after: true },
    { model: 'chest', label: 'effusion', group: null, before: null, after: true },
  ])
  // Another version that says the same is no change.
  expect(changedFindings([after], [{ ...after, model: 'chest@2.0.0', score: 0.8 }])).toEqual([])
  expect(changedFindings([after], [])).toMatchObject([{ before: true, after: null }])
})
