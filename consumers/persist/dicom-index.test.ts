import { afterEach, beforeEach, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import type { Instance } from '../../schemas/topics.ts'
import { anInstance } from '../../tests/gateway/samples.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { indexInstances } from './dicom-index.ts'

let stores: Stores
beforeEach(async () => {
  stores = await openStores()
})
afterEach(() => stores.close())

/** Of one study. */
async function index(n: number, documents: Stores['documents']): Promise<void> {
  const dicom: NonNullable<Instance['dicom']> = {
    ...{
      sopClass: '1.2.840.10008.5.1.4.1.1.1.1',
      transferSyntax: '1.2.840.10008.1.2.1',
      study: '1.2.3',
      series: '1.2.3.1',
    },
    sopInstance: `1.2.3.1.${n}`,
  }
  const instance = anInstance(n, { study: 'st_1', dicom })
  await indexInstances({ documents, secrets: stores.secrets }, [{ instance, dicom, header: { values: {} } }])
}

it('fails where it is heard when the store goes away while an image is looked up: nothing that was begun fails alone', async () => {
  await index(1, stores.documents)
  const turn = () => new Promise(resolve => setImmediate(resolve))
  const unheard: unknown[] = []
  const hear = (reason: unknown) => void unheard.push(reason)
  process.on('unhandledRejection', hear)
  const cut: Stores['documents'] = {
    ...stores.documents,
    insert: () => Promise.reject(new RaylogError('store-unavailable', 'cut off')),
    async get(collection, id) {
      for (let n = 0; n < 5; n++) await turn()
      return stores.documents.get(collection, id)
    },
  }
  await expect(index(2, cut)).rejects.toMatchObject({ code: 'store-unavailable' })
  await turn()
  process.off('unhandledRejection', hear)
  expect(unheard).toEqual([])
})
