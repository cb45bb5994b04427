/** Orthanc as the archive that is asked. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { peer } from '../../schemas/peers.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { titleOf } from '../../tests/harness/tools.ts'
import { until } from '../../tests/harness/until.ts'
import { countImages } from './count.ts'

const orthanc = titleOf('Orthanc', ['Orthanc'])
let child: ChildProcess | undefined
let folder = ''
afterEach(async () => {
  const gone = new Promise(resolve => child?.once('exit', resolve))
  if (child?.kill('SIGKILL')) await gone
  await rm(folder, { recursive: true, force: true })
})

describe.skipIf(orthanc.missing.length > 0)(orthanc.title, () => {
  it('says how many images it has of a study, and that it has none', { timeout: 120_000 }, async () => {
    folder = await mkdtemp(join(tmpdir(), 'raylog-count-'))
    const [port, http] = [await freePort(), await freePort()]
    const settings = {
      ...{ StorageDirectory: join(folder, 'db'), IndexDirectory: join(folder, 'db'), Plugins: [] },
      ...{ DicomAet: 'ORTHANC', DicomPort: port, HttpPort: http, AuthenticationEnabled: false },
      DicomAlwaysAllowFind: true,
    }
    await writeFile(join(folder, 'orthanc.json'), JSON.stringify(settings))
    child = spawn('Orthanc', [join(folder, 'orthanc.json')], { stdio: 'ignore' })
    const url = `http://127.0.0.1:${http}`
    await until('Orthanc listens', async () => (await fetch(`${url}/system`).catch(() => undefined))?.ok)
    for (const seed of [1, 2, 3]) {
      const body = Uint8Array.from(chestDicom(seed, { study: 1 }))
      expect((await fetch(`${url}/instances`, { method: 'POST', body })).ok).toBe(true)
    }
    const archive = peer.parse({ name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', port, services: [] })
    const options = { calling: 'RAYLOG', dicomTls: null, associateMs: 10_000, answerMs: 10_000 }
    const { signal } = new AbortController()
    expect(await countImages(archive, chestUids(1).study, { ...options, signal })).toBe(3)
    expect(await countImages(archive, '1.2.3.4', { ...options, signal })).toBeUndefined()
  })
})
