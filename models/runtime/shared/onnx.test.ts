import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { graphsFolder } from '../../testing.ts'
import { InferenceSession } from '../onnxruntime/onnxruntime.ts'
import { keepInputs } from './onnx.ts'

const declared = readFileSync(join(graphsFolder, 'declared.onnx'))
const quiet = { logSeverityLevel: 4 } as const

describe('a graph with the inputs that are named', () => {
  it('is what it was where all of them are', () => {
    expect(keepInputs(declared, ['image', 'diagonal', 'nothing']).equals(declared)).toBe(true)
  })

  it('has no others, and is a graph', async () => {
    const kept = keepInputs(declared, ['image'])
    expect(kept.length).toBeLessThan(declared.length)
    expect(keepInputs(kept, ['image']).equals(kept)).toBe(true)
    expect((await InferenceSession.create(kept, quiet)).inputNames).toEqual(['image'])
    await expect(InferenceSession.create(keepInputs(declared, ['diagonal', 'nothing']), quiet)).rejects.toThrow('image')
  })
})

it.each([
  ['cut off', declared.subarray(0, declared.length - 7)],
  ['cut off in a number', Buffer.from([0x80])],
  ['no protocol buffer', Buffer.from('these are no weights')],
])('says that it is none: %s', (_, bytes) => {
  expect(() => keepInputs(bytes, ['image'])).toThrow('it is no ONNX model')
})
