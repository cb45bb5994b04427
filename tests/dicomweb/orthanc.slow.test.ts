/** Orthanc's DICOMweb plugin as the client: it stores here, searches here and retrieves from here. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { fixture, type Kit, openDicomweb, token } from './kit.ts'

const plugin = '/usr/share/orthanc/plugins/libOrthancDicomWeb.so'
const missing = installed() ? '' : ' (skipped: Orthanc with its DICOMweb plugin is not installed)'

function installed(): boolean {
  if (!existsSync(plugin)) return false
  try {
    execFileSync('Orthanc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function startOrthanc(kit: Kit) {
  const folder = await mkdtemp(join(tmpdir(), 'raylog-orthanc-'))
  const port = await freePort()
  const settings = {
    StorageDirectory: folder,
    IndexDirectory: folder,
    HttpPort: port,
    DicomServerEnabled: false,
    AuthenticationEnabled: false,
    Plugins: [plugin],
    DicomWeb: {
      Enable: true,
      Servers: { raylog: { Url: `${kit.base}/`, HttpHeaders: { Authorization: `Bearer ${token}` } } },
    },
  }
  await writeFile(join(folder, 'orthanc.json'), JSON.stringify(settings))
  const child = spawn('Orthanc', [join(folder, 'orthanc.json')], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(url + path, init)
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 300)}`)
    return text === '' ? undefined : JSON.parse(text)
  }
  await until('Orthanc', () => ask('/system').catch(() => undefined))
  return {
    ask,
    post: (path: string, body: unknown) => ask(path, { method: 'POST', body: JSON.stringify(body) }),
    async close() {
      const gone = new Promise(done => child.once('exit', done))
      child.kill('SIGKILL')
      await gone
      await rm(folder, { recursive: true })
    },
  }
}

describe.skipIf(missing !== '')(`Orthanc${missing}`, () => {
  let kit: Kit
  let orthanc: Awaited<ReturnType<typeof startOrthanc>>
  beforeAll(async () => {
    kit = await openDicomweb()
    orthanc = await startOrthanc(kit)
  }, 120_000)
  afterAll(async () => {
    await orthanc.close()
    await kit.close()
  })

  it('stores by STOW-RS, searches by QIDO-RS and retrieves by WADO-RS', async () => {
    const files = ['rgb.dcm', 'rle-frames.dcm', 'jpeg-ls-80-uint8.dcm']
    const ids: string[] = []
    for (const file of files) {
      const body = Uint8Array.from(await fixture(file))
      ids.push((await orthanc.ask('/instances', { method: 'POST', body })).ID)
    }
    await orthanc.post('/dicom-web/servers/raylog/stow', { Resources: ids, Synchronous: true })
    const here = await kit.json('/instances')
    expect(here).toHaveLength(files.length)
    const study = String(here[0]?.['0020000D']?.Value?.[0])

    const found = await orthanc.post('/dicom-web/servers/raylog/qido', {
      Uri: '/studies',
      Arguments: { StudyInstanceUID: study },
    })
    expect(JSON.stringify(found)).toContain(study)

    for (const id of ids) await orthanc.ask(`/instances/${id}`, { method: 'DELETE' })
    expect(await orthanc.ask('/instances')).toEqual([])
    await orthanc.post('/dicom-web/servers/raylog/retrieve', { Resources: [{ Study: study }], Synchronous: true })
    expect((await orthanc.ask('/instances')).toSorted()).toEqual(ids.toSorted())
  }, 120_000)
})
