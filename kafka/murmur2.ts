/**
 * Which partition a key belongs to, as Kafka's default partitioner says: murmur2 over the key's UTF-8 bytes, without the
 * sign, modulo the number of partitions. The same on both adapters, so that an export keeps its partitions.
 * Source: org.apache.kafka.common.utils.Utils.murmur2, seed 0x9747b28c; A. Appleby, MurmurHash2 (2008).
 */
const seed = 0x9747b28c
const m = 0x5bd1e995

/** @returns the hash as a signed 32-bit integer, as Java has it */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const whole = length & ~3
  let h = seed ^ length
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(view.getInt32(at, true), m)
    k = Math.imul(k ^ (k >>> 24), m)
    h = Math.imul(h, m) ^ k
  }
  const left = length - whole
  if (left === 3) h ^= view.getUint8(whole + 2) << 16
  if (left >= 2) h ^= view.getUint8(whole + 1) << 8
  if (left >= 1) h = Math.imul(h ^ view.getUint8(whole), m)
  h = Math.imul(h ^ (h >>> 13), m)
  return h ^ (h >>> 15)
}

export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}
