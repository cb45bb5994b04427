/** What goes to a peer of research by C-GET and C-MOVE, as DCMTK receives it. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenNode, openNode } from '../../tests/harness/dicom-node.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { titleOf } from '../../tests/harness/tools.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'

const run = promisify(execFile)
const env = { ...process.env, TCP_NODELAY: '1' }
const dcmtk = titleOf('DCMTK', ['getscu', 'movescu', 'dcmdump'])
const { study, sopInstance } = chestUids(1)
/** Of a class that may have names burnt in: compressed, and of the patient Canary. */
const captured = await readFile(join(import.meta.dirname, '../../models/fixtures/imaging/rle-uint8.dcm'))
const capturedStudy = '1.2.826.0.1.3680043.10.99999.1.1'
const identity = /Demo\^|DEMO-|Canary|CANARY|99999|2\.25\.1[123]0{20}/

let folder: string
let stores: Stores
let node: OpenNode
let port: number
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-deidentified-'))
  stores = await openStores({ deidentify: { pixels: { unknown: 'blank' } } })
  port = await freePort()
  const host = '127.0.0.1'
  // C-GET brings images over contexts of storage.
  const services = ['store', 'retrieve']
  const peers = [
    { name: 'modality', aeTitle: 'MODALITY', host },
    { name: 'clinic', aeTitle: 'CLINIC', host, services },
    { name: 'research', aeTitle: 'RESEARCH', host, port, services, deidentify: true },
  ]
  node = await openNode({ stores, network: { peers } })
  await node.keep(chestDicom(1), captured)
})
afterEach(async () => {
  await node[Symbol.asyncDispose]()
  await stores.close()
  await rm(folder, { recursive: true })
})

const asked = (uid: string) => ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`]
const here = () => ['-aec', 'RAYLOG', '127.0.0.1', String(node.port)]

/** What dcmdump reads in each file that came. */
async function received(): Promise<string[]> {
  const files = (await readdir(folder)).toSorted()
  return Promise.all(
    files.map(async file => (await run('dcmdump', ['+L', '-M', join(folder, file)], { maxBuffer: 1e8 })).stdout),
  )
}

describe.skipIf(dcmtk.missing.length > 0)(dcmtk.title, () => {
  it('getscu gets the study as it is stored, unless its settings say that it has nobody in it', async () => {
    const get = (title: string) =>
      run('getscu', ['-S', '+B', '-od', folder, '-aet', title, ...here(), ...asked(study)], { env })
    await get('CLINIC')
    const [whole = ''] = await received()
    expect(whole).toMatch(identity)
    expect(whole).toContain(sopInstance)
    for (const file of await readdir(folder)) await rm(join(folder, file))
    await get('RESEARCH')
    const came = await received()
    expect(came).toHaveLength(1)
    expect(came[0]).not.toMatch(identity)
    expect(came[0]).toContain('(0012,0062) CS [YES]')
    expect(came[0]).toMatch(/SOPInstanceUID/)
  })

  it('movescu has it sent without anybody in it to such a destination, whoever asks', async () => {
    const args = ['-S', '+P', String(port), '-od', folder, '-aet', 'CLINIC', '-aem', 'RESEARCH', ...here()]
    for (const uid of [study, capturedStudy]) await run('movescu', [...args, ...asked(uid)], { env, cwd: folder })
    const came = await received()
    expect(came).toHaveLength(2)
    for (const one of came) {
      expect(one).not.toMatch(identity)
      expect(one).toContain('(0012,0062) CS [YES]')
    }
  })

  it('an image that cannot be made so is not sent, and counted as failed', async () => {
    stores.images.deidentify = () => Promise.reject(new Error('no'))
    const failed = run('getscu', ['-v', '-S', '+B', '-od', folder, '-aet', 'RESEARCH', ...here(), ...asked(study)], {
      env,
    })
    const { stdout, stderr } = await failed.catch(thrown => thrown)
    expect(`${stdout}${stderr}`).toMatch(/Failed Suboperations\s*:\s*1|0xa702/i)
    expect(await received()).toEqual([])
  })
})
