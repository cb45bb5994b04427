/** Counts that other systems announce, from what they say over DICOM to what is said of the study on the log. */
import { expect, it } from 'vitest'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { ids } from '../../schemas/ids.ts'
import { openArrivals } from '../../tests/harness/announced.ts'
import { assessingPerTest } from '../../tests/harness/assessing.ts'
import { openNode, sendFiles } from '../../tests/harness/dicom-node.ts'
import { begun, made, openModality } from '../../tests/harness/procedure-steps.ts'

const on = assessingPerTest()
const study = ids.study('main', chestUids(1).study)
const image = (seed: number) => chestDicom(seed, { study: 1 })

it('a study is complete with as many images as the PACS that sends it has: it is asked by C-FIND', async () => {
  await using pacs = await openNode({ settings: { acceptAnyoneOnThisNetwork: true } })
  await pacs.keep(image(1), image(2), image(3))
  const itself = { name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: pacs.port, countsFrom: 'pacs' }
  await using node = await openArrivals(on, { peers: [itself] })
  await sendFiles(node.port, 'PACS', [image(1), image(2)])
  await node.answered(2)
  // It is asked when nothing came for a while.
  await on.quiet(4_500)
  await node.announced(1)
  await on.quiet(2_000)
  expect(await on.assessed()).toEqual([])
  await sendFiles(node.port, 'PACS', [image(3)])
  await node.answered(3)
  const expected = { images: 3, source: 'pacs' }
  expect(await on.last(1)).toMatchObject({ study, completedBy: 'expected_count', expected, instances: 3, actor: null })
})

it('a study is complete with as many images as its modality made: it says so by N-CREATE and N-SET', async () => {
  await using node = await openArrivals(on)
  const modality = await openModality(node.port)
  const uids = [1, 2, 3].map(seed => chestUids(seed, 1).sopInstance)
  expect(await modality.create('1.2.7', begun(chestUids(1).study))).toBe(0)
  await sendFiles(node.port, 'CT1', [image(1), image(2)])
  await node.answered(2)
  expect(await modality.set('1.2.7', made('COMPLETED', ...uids))).toBe(0)
  await modality.release()
  await node.announced(1)
  await on.quiet(2_000)
  expect(await on.assessed()).toEqual([])
  await sendFiles(node.port, 'CT1', [image(3)])
  await node.answered(3)
  const expected = { images: 3, source: 'modality' }
  expect(await on.last(1)).toMatchObject({ study, completedBy: 'expected_count', expected, instances: 3, actor: null })
})
