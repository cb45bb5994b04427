/** As announced.test.ts, with systems that nobody here wrote: Orthanc as the PACS, a modality of pynetdicom. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { ids } from '../../schemas/ids.ts'
import { openArrivals } from '../../tests/harness/announced.ts'
import { assessingPerTest } from '../../tests/harness/assessing.ts'
import { hasOrthanc, makeOrthanc } from '../../tests/harness/orthanc.ts'
import { pynetdicom, runPython } from '../../tests/harness/python.ts'
import { freePort } from '../../tests/harness/raylog.ts'

const on = assessingPerTest()
const study = ids.study('main', chestUids(1).study)
const image = (seed: number) => chestDicom(seed, { study: 1 })
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-announced-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe.skipIf(!hasOrthanc)(`Orthanc${hasOrthanc ? '' : ' (skipped: not installed)'}`, { timeout: 120_000 }, () => {
  it('sends a study, and is asked by C-FIND how many images it has of it', async () => {
    const dicomPort = await freePort()
    const orthanc = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: dicomPort })
    await orthanc.start()
    try {
      for (const seed of [1, 2, 3]) await orthanc.post('/instances', Uint8Array.from(image(seed)))
      const at = { host: '127.0.0.1', port: orthanc.dicomPort }
      const pacs = { name: 'pacs', aeTitle: 'ORTHANC', ...at, countsFrom: 'pacs' }
      await using node = await openArrivals(on, { peers: [pacs], dicomPort })
      const send = async (seed: number) => {
        const known = await orthanc.post('/tools/lookup', chestUids(seed, 1).sopInstance)
        const [{ ID: id }] = z.tuple([z.object({ ID: z.string() })]).parse(known)
        expect(await orthanc.post('/modalities/raylog/store', id)).toMatchObject({ FailedInstancesCount: 0 })
      }
      await send(1)
      await send(2)
      await node.answered(2)
      // It is asked when nothing came for a while.
      await on.quiet(4_500)
      await node.announced(1)
      await on.quiet(2_000)
      expect(await on.assessed()).toEqual([])
      await send(3)
      await node.answered(3)
      const expected = { images: 3, source: 'pacs' }
      expect(await on.last(1)).toMatchObject({ study, completedBy: 'expected_count', expected, instances: 3 })
    } finally {
      await orthanc.stop()
    }
  })
})

const { python, missing, title } = await pynetdicom('a modality of pynetdicom')
const script = join(import.meta.dirname, '../../tests/peers/pynetdicom_modality.py')

describe.skipIf(missing)(title, { timeout: 300_000 }, () => {
  it('sends a study, and says by N-CREATE and N-SET how many images it made of it', async () => {
    await using node = await openArrivals(on)
    const modality = async (what: string, ...args: string[]): Promise<unknown> =>
      JSON.parse(await runPython(python, [script, what, String(node.port), ...args]))
    const files: string[] = []
    for (const seed of [1, 2, 3, 4, 5]) {
      const path = join(folder, `${seed}.dcm`)
      await writeFile(path, image(seed))
      files.push(path)
    }
    expect(await modality('together', '4', ...files.slice(0, 4))).toEqual({ 0: 4 })
    await node.answered(4)
    await modality('steps', chestUids(1).study)
    await node.announced(1)
    await on.quiet(2_000)
    expect(await on.assessed()).toEqual([])
    expect(await modality('together', '1', ...files.slice(4))).toEqual({ 0: 1 })
    await node.answered(5)
    const expected = { images: 5, source: 'modality' }
    expect(await on.last(1)).toMatchObject({ study, completedBy: 'expected_count', expected, instances: 5 })
  })
})
