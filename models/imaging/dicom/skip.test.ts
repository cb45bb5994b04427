import { describe, expect, it } from 'vitest'
import { crowdedSequence, deepSequence, dicomFile, element, text } from '../../../tests/attack/bodies.ts'
import { describe as describeImage } from '../header.ts'
import { skipUndefined } from './skip.ts'

const item = (length: number, value: Buffer = Buffer.alloc(0)) => {
  const head = Buffer.from([0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0])
  head.writeUInt32LE(length, 4)
  return Buffer.concat([head, value])
}
const itemEnd = Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0])
const end = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])
const undefinedLength = 0xffffffff
const name = text(0x00080080, 'LO', 'Somewhere')
const implicit = Buffer.from([8, 0, 0x80, 0, 2, 0, 0, 0, 65, 66])

describe('an element of undefined length', () => {
  it.each([
    ['nothing in it', 'SQ', [end]],
    ['items of both kinds of length', 'SQ', [item(name.length, name), item(undefinedLength, name), itemEnd, end]],
    ['a sequence within', 'SQ', [item(undefinedLength), element(0x00081140, 'SQ', end, undefinedLength), itemEnd, end]],
    ['unknown VR, and implicit elements therefore', 'UN', [item(undefinedLength, implicit), itemEnd, end]],
    ['fragments', 'OB', [item(0), item(4, Buffer.from('data')), end]],
  ])('is passed over to its end: %s', (_, vr, parts) => {
    const bytes = Buffer.concat([...parts, Buffer.from('what follows')])
    expect(skipUndefined(bytes, 0, vr)).toBe(bytes.length - 12)
  })

  it('is told to be cut wherever the bytes end within it', () => {
    const whole = Buffer.concat([item(undefinedLength, name), itemEnd, item(name.length, name), end])
    for (let size = 0; size < whole.length; size++)
      expect(skipUndefined(whole.subarray(0, size), 0, 'SQ'), `${size} bytes`).toBeUndefined()
  })

  it('is refused where it is no sequence, or one without an end to its depth', () => {
    expect(() => skipUndefined(Buffer.concat([name, end]), 0, 'SQ')).toThrow(/other than an item/)
    expect(() => skipUndefined(Buffer.concat([itemEnd, end]), 0, 'SQ')).toThrow(/do not fit/)
    expect(() => skipUndefined(deepSequence(1_000).subarray(12), 0, 'SQ')).toThrow(/deeper/)
  })

  it('holds the process up for no time to speak of, whatever is in it', async () => {
    const bytes = dicomFile({ before: crowdedSequence(60_000_000) })
    const began = process.cpuUsage()
    const { facts } = await describeImage(bytes, true)
    expect(facts).toMatchObject({ rows: 16, columns: 16 })
    // Some 200 ms of work; dicom-parser takes several seconds and 2 GB for it.
    const { user, system } = process.cpuUsage(began)
    expect((user + system) / 1_000).toBeLessThan(2_500)
  })
})
