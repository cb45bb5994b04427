import { describe, expect, it } from 'vitest'
import { murmur2, partitionOf } from './murmur2.ts'

describe('the partitioner', () => {
  // The values of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as Kafka does', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })

  it('reads nothing but the key, wherever it lies in its buffer', () => {
    const around = Buffer.from('xxxfoobaryyy')
    expect(murmur2(around.subarray(3, 9))).toBe(-790332482)
  })

  it('gives a partition that exists, also where the hash is negative', () => {
    for (const key of ['21', 'foobar', '', 'ü']) {
      const partition = partitionOf(Buffer.from(key), 6)
      expect(partition).toBeGreaterThanOrEqual(0)
      expect(partition).toBeLessThan(6)
    }
    expect(partitionOf(Buffer.from('21'), 1)).toBe(0)
  })
})
