/** What the parts of a study come to: its priority, and what a revision says that the one before did not. */
import { describe, expect, it } from 'vitest'
import type { StudyAnswerDoc, StudyImageDoc } from '../../schemas/study.ts'
import type { Priority } from '../../schemas/topics.ts'
import { chestModel } from '../../tests/gateway/samples.ts'
import { assemble } from './assembly.ts'
import { complete, freshState, type State } from './completion.ts'
import { config, findingRule } from './settings.ts'

const settings = config.parse({})
const now = Date.UTC(2026, 0, 1)
const image: StudyImageDoc = { id: 'in_1', study: 'st', series: '1', laterality: null, models: ['chest'], seenAt: now }
const answer = (score: number): StudyAnswerDoc => ({
  ...{ id: 'pr_1', study: 'st', instance: 'in_1', model: 'chest', version: '1.0.0', code: null, at: now },
  ...{ label: score >= 0.5 ? 'pneumonia' : 'normal', probabilities: { pneumonia: score }, score, threshold: 0.5 },
  quality: [],
})

/** @param order of the images @param rule of the finding @param score of the only image */
function assessed(order: Priority, rule: Priority, score: number) {
  const state: State = { ...freshState('st', now, settings), priority: order }
  const why = { completedBy: 'rule' as const, actor: null, expected: null }
  return assemble(complete(state, why, now, settings), {
    parts: { images: [image], answers: [answer(score)], verdicts: [] },
    rules: [findingRule.parse({ priority: rule })],
    models: [chestModel()],
    now,
  })
}

describe('the priority of a study', () => {
  it.each<[Priority, Priority, Priority]>([
    ['routine', 'routine', 'routine'],
    ['routine', 'urgent', 'urgent'],
    ['routine', 'stat', 'stat'],
    ['urgent', 'routine', 'urgent'],
    ['urgent', 'urgent', 'urgent'],
    ['urgent', 'stat', 'stat'],
    ['stat', 'routine', 'stat'],
    ['stat', 'urgent', 'stat'],
    ['stat', 'stat', 'stat'],
  ])('ordered as %s, with a finding that is %s: %s', (order, rule, priority) => {
    expect(assessed(order, rule, 0.9)).toMatchObject({ priority, findings: [{ present: true, priority: rule }] })
    // What was looked for and not found makes nothing urgent.
    expect(assessed(order, rule, 0.1)).toMatchObject({ priority: order, findings: [{ present: false }] })
  })
})
