import { expect, it } from 'vitest'
import { hasVrs } from './sniff.ts'
import { explicitLittle, implicitLittle } from './syntaxes.ts'

it('says the same of the first element however much of the object is there', () => {
  // (0008,0005) CS of 10 bytes; as a length without a VR it would be 676,675.
  const explicit = Buffer.from('0800050043530a0049534f5f495220313030', 'hex')
  const implicit = Buffer.from('080005000a00000049534f5f495220313030', 'hex')
  for (const size of [18, 64 * 1024, 1024 * 1024])
    for (const stated of [explicitLittle, implicitLittle]) {
      const holding = (first: Buffer) => hasVrs(Buffer.concat([first, Buffer.alloc(size - first.length)]), 0, stated)
      expect([size, holding(explicit), holding(implicit)]).toEqual([size, true, false])
    }
})
