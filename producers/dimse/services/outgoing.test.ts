import { expect, it } from 'vitest'
import { openStores } from '../../../tests/harness/stores.ts'
import { createFairGate } from '../../gate.ts'
import { chestDicom, chestUids } from '../../simulator/phantoms.ts'
import { outgoing } from './retrieve.ts'

it('holds no more objects whole than there are places, until each has been sent, or cannot be, and one receiver holds not all of them', async () => {
  const stores = await openStores({ deidentify: { pixels: { unknown: 'blank' } } })
  const object = await stores.objects.put(chestDicom(1), 'application/dicom')
  const { sopClass, sopInstance } = chestUids(1)
  const stored = { site: 'here', sopClass, sopInstance, transferSyntax: '1.2.840.10008.1.2.1', object }
  let read = 0
  const get = (key: string) => {
    read++
    return stores.objects.get(key)
  }
  const options = { images: stores.images, objects: { ...stores.objects, get }, whole: createFairGate(3, 2) }
  const how = { name: 'slow', deidentify: true, signal: new AbortController().signal }
  const missing = outgoing(options, { ...stored, object: { ...object, key: 'missing' } }, how)
  await expect(missing).rejects.toThrow()
  read = 0
  const [first, second, third] = [1, 2, 3].map(() => outgoing(options, stored, how))
  await second
  expect(read).toBe(2)
  // Those that wait for one who takes nothing do not hold up who comes after them.
  ;(await outgoing(options, stored, { ...how, name: 'other' })).done()
  expect(read).toBe(3)
  ;(await first)?.done()
  ;(await third)?.done()
  expect(read).toBe(4)
  ;(await second)?.done()
  expect(options.whole.inside).toBe(0)
  await stores.close()
})
