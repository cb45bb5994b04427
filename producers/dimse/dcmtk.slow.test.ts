/** DCMTK, the reference of the field, as the sender. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenProducer, openProducer } from '../../tests/harness/producer.ts'
import { sharedPath } from '../../tests/shared.ts'
import { chestDicom } from '../simulator/phantoms.ts'
import { dimse } from './stage.ts'

const run = promisify(execFile)

function installed(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' })
    return true
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')
  }
}

const without = ['echoscu', 'storescu', 'dcmsend'].filter(tool => !installed(tool))
const corpus = sharedPath('data', 'dicom')

/** DCMTK waits 40 ms for each answer otherwise. */
const env = { ...process.env, TCP_NODELAY: '1' }

let folder = ''
let stage: OpenProducer | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-dcmtk-'))
})
afterEach(async () => {
  await stage?.close()
  await rm(folder, { recursive: true })
})

async function start(settings: object = {}): Promise<string[]> {
  stage = await openProducer(dimse, { settings: { port: 0, ...settings } })
  return ['127.0.0.1', String(stage.endpoints.dicom?.port)]
}

const title = without.length > 0 ? `DCMTK (skipped: ${without.join(', ')} not installed)` : 'DCMTK'

describe.skipIf(without.length > 0)(title, () => {
  it('has its C-ECHO answered', async () => {
    await run('echoscu', ['-v', '-aec', 'RAYLOG', ...(await start())], { env })
  })

  it('is refused under another AE title where that matters', async () => {
    const address = await start({ strictAeTitle: true })
    await run('echoscu', ['-aec', 'RAYLOG', ...address], { env })
    await expect(run('echoscu', ['-aec', 'OTHER', ...address], { env })).rejects.toThrow(
      /Called AE Title Not Recognized/,
    )
  })

  it.each(['-xe', '-xb', '-xi', '-xd'])('stores with storescu %s, over small and large PDUs', async syntax => {
    const address = await start()
    await writeFile(join(folder, 'a.dcm'), chestDicom(1))
    await writeFile(join(folder, 'b.dcm'), chestDicom(2, { size: 1024 }))
    for (const most of ['4096', '131072'])
      await run(
        'storescu',
        [syntax, '--max-send-pdu', most, ...address, join(folder, 'a.dcm'), join(folder, 'b.dcm')],
        { env },
      )
    expect(stage?.published).toHaveLength(4)
    // However the bytes were cut on the way, it is the same image.
    expect(new Set(stage?.published.map(event => event.object.sha256)).size).toBe(2)
  })

  it('stores a folder with dcmsend', async () => {
    const address = await start()
    for (let seed = 0; seed < 20; seed++) await writeFile(join(folder, `${seed}.dcm`), chestDicom(seed))
    await run('dcmsend', [...address, '--scan-directories', folder], { env })
    expect(stage?.published).toHaveLength(20)
  })

  it.skipIf(!corpus)(
    corpus
      ? 'stores every file of the corpus that it can read, in its own transfer syntax'
      : 'stores the corpus (skipped: it is not here)',
    async () => {
      const address = await start()
      let sent = 0
      for (const name of (await readdir(corpus ?? '')).filter(file => file.endsWith('.dcm'))) {
        const args = ['-v', '--read-file-only', '--decompress-never', ...address, join(corpus ?? '', name)]
        const said = await run('dcmsend', args, { env }).catch((thrown: { stdout?: string; stderr?: string }) => thrown)
        const statuses = [...`${said.stdout}${said.stderr}`.matchAll(/Received C-STORE Response \((.*?)\)/g)].map(
          found => found[1],
        )
        if (statuses.some(status => status === 'Success')) sent++
      }
      expect(stage?.published.length).toBe(sent)
      expect(sent).toBeGreaterThan(30)
    },
  )
})
