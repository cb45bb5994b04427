import { describe, expect, it } from 'vitest'
import type { Instance, Parked, Prediction } from '../api/types.ts'
import { applyChanges, type Change, emptyFeed, statusOf } from './feed.ts'
import { readFilter, readTyped, rowOf, withFilter } from './filter.ts'
import { leading, levelOf, verdict } from './finding.ts'

const instance = (id: string, receivedAt: number, more: Partial<Instance> = {}): Instance => ({
  id,
  site: 'main',
  study: `study of ${id}`,
  source: { kind: 'dimse', peer: 'ROOM_1' },
  object: { key: 'k', sha256: 's', bytes: 1, contentType: 'application/dicom' },
  dicom: null,
  modality: 'DX',
  bodyPart: 'CHEST',
  view: 'PA',
  laterality: null,
  studyInstances: null,
  deidentified: null,
  rows: 8,
  columns: 8,
  frames: 1,
  photometric: 'MONOCHROME2',
  equipment: null,
  patient: 'pt_1',
  requested: [],
  priority: 'routine',
  acquiredAt: null,
  receivedAt,
  ...more,
})

const prediction = (of: string, more: Partial<Prediction> = {}): Prediction => ({
  id: `said of ${of} ${more.model?.name ?? ''}`,
  instance: of,
  study: `study of ${of}`,
  site: 'main',
  object: 'k',
  modality: 'DX',
  patient: 'pt_1',
  model: { name: 'pneumonia', version: '1', digest: 'd', runtime: 'onnx' },
  role: 'production',
  replay: null,
  label: 'Pneumonia',
  score: 0.8,
  threshold: 0.5,
  confidence: 0.8,
  probabilities: { Pneumonia: 0.8, Normal: 0.2 },
  regions: [],
  explanation: null,
  quality: [],
  timings: { queueMs: 1, fetchMs: 1, decodeMs: 1, prepareMs: 1, inferMs: 1, batch: 1 },
  receivedAt: 1,
  predictedAt: 2,
  ...more,
})

const came = (event: Instance, accepted: string[] | null = null): Change => ({
  kind: 'instance',
  event,
  accepted,
  fresh: true,
})
const said = (event: Prediction): Change => ({ kind: 'prediction', event, fresh: true })
const parked = (subject: string): Parked => ({
  id: `parked ${subject}`,
  stage: 'infer',
  topic: 'imaging.instances.v1',
  partition: 0,
  offset: 1,
  key: 'k',
  headers: {},
  subject,
  code: 'decode-failed',
  title: 'The pixels cannot be decoded',
  remedy: 'Send it again.',
  message: 'damaged',
  attempts: 1,
  at: 3,
  state: 'parked',
})

const only = (changes: Change[]) => {
  const [item] = applyChanges(emptyFeed, changes).items
  if (!item) throw new Error('nothing is listed')
  return item
}

describe('the feed', () => {
  it('stands newest first, however the events come', () => {
    const first = applyChanges(emptyFeed, [came(instance('b', 20)), came(instance('a', 10))])
    const then = applyChanges(first, [came(instance('d', 40)), came(instance('c', 15)), came(instance('e', 5))])
    expect(then.items.map(({ id }) => id)).toEqual(['d', 'b', 'c', 'a', 'e'])
  })

  it('takes the same event twice as one', () => {
    const changes = [came(instance('a', 10)), said(prediction('a'))]
    const twice = applyChanges(applyChanges(emptyFeed, changes), changes)
    expect(twice.items).toHaveLength(1)
    expect(twice.items[0]?.predictions).toHaveLength(1)
  })

  it('lists a prediction whose image comes later, in the place of the image', () => {
    const before = applyChanges(emptyFeed, [said(prediction('a', { receivedAt: 10 })), came(instance('b', 20))])
    const after = applyChanges(before, [came(instance('a', 10), ['pneumonia'])])
    expect(after.items.map(({ id, instance }) => [id, instance !== null])).toEqual([
      ['b', true],
      ['a', true],
    ])
  })

  it('lets the oldest go beyond its cap, and forgets them', () => {
    const feed = applyChanges(
      emptyFeed,
      [10, 20, 30].map(at => came(instance(`at ${at}`, at))),
      2,
    )
    expect(feed.items.map(({ id }) => id)).toEqual(['at 30', 'at 20'])
    expect(feed.byId.has('at 10')).toBe(false)
  })

  it('says what a row without a result waits for', () => {
    expect(statusOf(only([came(instance('a', 1), ['pneumonia'])]))).toBe('waiting')
    expect(statusOf(only([came(instance('a', 1), [])]))).toBe('refused')
    expect(statusOf(only([came(instance('a', 1))]))).toBe('unknown')
    expect(statusOf(only([came(instance('a', 1)), { kind: 'routes', id: 'a', accepted: [] }]))).toBe('refused')
  })

  it('shows as parked only what still is', () => {
    const feed = applyChanges(emptyFeed, [came(instance('a', 1)), { kind: 'parked', event: parked('a') }])
    expect(feed.items.map(statusOf)).toEqual(['parked'])
    expect(applyChanges(feed, [{ kind: 'parked-now', events: [] }]).items.map(statusOf)).toEqual(['unknown'])
  })

  it('leaves rows that did not change the very same, so that they are not drawn again', () => {
    const before = applyChanges(emptyFeed, [came(instance('a', 1)), came(instance('b', 2))])
    const after = applyChanges(before, [said(prediction('b'))])
    expect(after.items[1]).toBe(before.items[1])
    expect(after.items[0]).not.toBe(before.items[0])
  })
})

describe('a filter', () => {
  const item = only([
    came(instance('a', 1)),
    said(prediction('a', { label: 'Normal', score: 0.2 })),
    said(prediction('a', { model: { name: 'other', version: '2', digest: 'd', runtime: 'onnx' }, role: 'shadow' })),
  ])
  const row = (query: string) => rowOf(item, readFilter(new URLSearchParams(query)))

  it('shows the production answer, and with a model named that model', () => {
    expect(row('')?.shown?.label).toBe('Normal')
    expect(row('model=other')?.shown?.role).toBe('shadow')
    expect(row('model=third')).toBeNull()
  })

  it('by label, modality, site and text keeps what matches', () => {
    expect(row('label=Normal&modality=DX&site=main&q=room_1')).not.toBeNull()
    expect(row('modality=CT')).toBeNull()
    expect(row('site=north')).toBeNull()
    expect(row('q=nowhere')).toBeNull()
  })

  it('by attention drops what is below the threshold', () => {
    expect(row('show=attention')).toBeNull()
    expect(row('show=attention&model=other')?.shown?.score).toBe(0.8)
    expect(row('show=nonsense')).not.toBeNull()
  })

  it('goes through the address and back', () => {
    const query = withFilter(withFilter(new URLSearchParams('q=x'), 'model', 'a b'), 'q', null)
    expect(readFilter(new URLSearchParams(query.toString()))).toEqual({
      values: { model: 'a b' },
      show: null,
      text: '',
    })
    expect(readTyped('model:digits')).toEqual({ key: 'model', value: 'digits' })
    expect(readTyped('colour:red')).toBeNull()
  })
})

describe('a finding', () => {
  it('never looks like a plain answer near the threshold, whichever side it is on', () => {
    const near = { threshold: 0.5, quality: ['near-threshold'] }
    expect([0.51, 0.49].map(score => levelOf({ ...near, score }))).toEqual(['check', 'check'])
    expect(verdict({ ...near, score: 0.49 })).toContain('either way')
  })

  it('wants attention from the threshold on', () => {
    const plain = { threshold: 0.5, quality: [] }
    expect([0.5, 0.499].map(score => levelOf({ ...plain, score }))).toEqual(['attention', 'clear'])
    expect(levelOf({ threshold: null, score: 0.99, quality: [] })).toBe('none')
  })

  it('below the threshold is not clear on an image that the model may not know', () => {
    expect(levelOf({ threshold: 0.5, score: 0.1, quality: ['one-frame-of-many'] })).toBe('check')
  })

  it('of a shadow model never stands before production', () => {
    const shadow = prediction('a', { role: 'shadow', score: 0.99 })
    const production = prediction('a', { label: 'Normal', score: 0.1 })
    expect(leading([shadow, production])).toBe(production)
  })
})
