import { describe, expect, it } from 'vitest'
import { age, ago, bytes, cameBy, duration, flag, lasting, score, scoreAgainst } from './format.ts'
import { guessWindow, presetsFor } from './instance/window.ts'
import { reasons } from './live/explain.ts'
import { parsePath } from './router.ts'

describe('words for numbers', () => {
  it('never round a score to a certainty', () => {
    expect([0, 0.001, 0.5, 0.994, 0.999, 1].map(score)).toEqual(['0.00', '<0.01', '0.50', '0.99', '>0.99', '1.00'])
  })

  it('tell a score from its threshold', () => {
    expect(scoreAgainst(0.496, 0.5)).toEqual(['0.496', '0.500'])
    expect(scoreAgainst(0.3, 0.5)).toEqual(['0.30', '0.50'])
    expect(scoreAgainst(0.5, 0.5)).toEqual(['0.50', '0.50'])
  })

  it('say times in the unit that fits', () => {
    expect([0.42, 42.4, 1_240, 90_000].map(duration)).toEqual(['0.4 ms', '42 ms', '1.2 s', '2 min'])
    expect([3_000, 29_000, 61_000, 7_300_000, 90_000_000].map(age)).toEqual(['now', '20 s', '1 min', '2 h', '1 d'])
    expect(age(-5_000)).toBe('now')
    expect(['now', '2 h'].map(ago)).toEqual(['now', '2 h ago'])
    expect(['now', '2 h'].map(lasting)).toEqual(['as of a moment ago', 'for 2 h'])
    expect([0, 999, 1_500, 2_000_000_000].map(bytes)).toEqual(['0 B', '999 B', '1.5 kB', '2.0 GB'])
  })

  it('put flags and doors in words, unknown ones too', () => {
    expect(flag('near-threshold')).toBe('Near the threshold')
    expect(flag('odd-thing')).toBe('Odd thing')
    expect(cameBy({ kind: 'dimse', peer: 'ROOM_1' })).toBe('dimse ROOM_1')
    expect(cameBy({ kind: 'upload', peer: '/api/v1/instances' })).toBe('upload')
  })
})

describe('an address', () => {
  it('names a view, or says that there is none', () => {
    expect(parsePath('/')).toEqual({ view: 'live', instance: null })
    expect(parsePath('/instances/in_a%2Fb')).toEqual({ view: 'live', instance: 'in_a/b' })
    expect(parsePath('/instances/%')).toEqual({ view: 'live', instance: '%' })
    expect(parsePath('/models/digits')).toEqual({ view: 'models', model: 'digits' })
    expect(parsePath('/parked/1')).toEqual({ view: 'unknown' })
    expect(parsePath('/a/b/c')).toEqual({ view: 'unknown' })
  })
})

describe('why no model took an image', () => {
  const model = { name: 'breast', version: '1', digest: 'd', runtime: 'onnx' }
  it('is told model by model', () => {
    expect(reasons([])).toBe('No model is loaded.')
    expect(reasons([{ model, accepted: false, reason: 'modality is CT' }])).toBe('breast: modality is CT')
  })
})

describe('a window', () => {
  it('has the customary presets for CT alone', () => {
    expect(presetsFor({ modality: 'CT' }).map(({ name }) => name)).toContain('Lung')
    expect(presetsFor({ modality: 'MR' })).toEqual([])
    expect(guessWindow({ modality: 'CT', dicom: null })).toEqual({ center: 128, width: 256 })
  })
})
