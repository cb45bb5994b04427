import { expect, it } from 'vitest'
import { modelManifest } from '../manifest.ts'
import { createPreparer } from '../prepare/prepare.ts'
import { makeTensorData } from '../prepare/tensor.ts'
import { dicomFile } from '../testing.ts'
import { decodeFrame } from './decode.ts'
import { createScratch } from './memory.ts'

it('gives each picture the tensor that it has in memory of its own, whatever picture was there before', async () => {
  const input = modelManifest.shape.input.parse({
    name: 'x',
    layout: 'NCHW',
    channels: 'grey',
    width: 224,
    height: 224,
  })
  const preparer = createPreparer(input)
  const scratch = createScratch()
  for (const [side, bits] of [
    [300, 16],
    [28, 8],
    [64, 16],
    [301, 8],
    [5, 16],
    [300, 8],
  ] as const) {
    const bytes = dicomFile({ rows: side, columns: side, bits, sample: i => (i * side + (i >> 5)) & 255 })
    const [own, shared] = [makeTensorData(input, 1), makeTensorData(input, 1)]
    preparer.into(await decodeFrame(bytes, 1), own, 0)
    scratch.reset()
    preparer.into(await decodeFrame(bytes, 1, scratch.take), shared, 0, scratch.take)
    expect(Buffer.compare(Buffer.from(shared.buffer), Buffer.from(own.buffer))).toBe(0)
  }
})

it('gives the same block to the next picture, another to the same, and keeps none that is very large', () => {
  const { take, reset } = createScratch()
  const [first, second, large] = [take(100), take(100), take(9_000_000)]
  expect(first.buffer).not.toBe(second.buffer)
  reset()
  expect(take(50).buffer).toBe(first.buffer)
  expect(take(100).buffer).toBe(second.buffer)
  expect(take(9_000_000).buffer).not.toBe(large.buffer)
})
