/** Every real file that there is, sent as hospitals send them, to one real Raylog: nothing falls over, and each is told what it is. */
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { errorTable } from '../../schemas/errors.ts'
import { census, isIdle } from '../harness/census.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { sharedPath } from '../shared.ts'

const run = promisify(execFile)
const folder = sharedPath('data/dicom')
const missing = [
  ...(installed('storescu') ? [] : ['storescu is not installed']),
  ...(folder ? [] : ['the shared DICOM files are not here']),
]

/** What makes storescu propose a file's own transfer syntax (PS3.5 A); the uncompressed ones it proposes by itself. */
const proposal: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2': '-xi',
  '1.2.840.10008.1.2.1': '-xe',
  '1.2.840.10008.1.2.2': '-xb',
  '1.2.840.10008.1.2.1.99': '-xd',
  '1.2.840.10008.1.2.5': '-xr',
  '1.2.840.10008.1.2.4.50': '-xy',
  '1.2.840.10008.1.2.4.51': '-xx',
  '1.2.840.10008.1.2.4.70': '-xs',
  '1.2.840.10008.1.2.4.80': '-xt',
  '1.2.840.10008.1.2.4.81': '-xu',
  '1.2.840.10008.1.2.4.90': '-xv',
  '1.2.840.10008.1.2.4.91': '-xw',
}

interface CatalogueEntry {
  file: string
  syntax: string
  /** Its author's word for it: yes, suspect, warn, n/a. */
  valid: string
  /** Of pixels; empty where there are none. */
  frames: string
}

/** Good files that are refused all the same, and rightly. */
const refusedRightly: Readonly<Record<string, string>> = {
  // No Series and no Study Instance UID, both of type 1 (PS3.3 C.7.3.1, C.7.2.1).
  'htj2k-201-rgb__HTJ2KLossless_08_RGB.dcm': 'malformed-dicom',
  // A directory of a medium (PS3.3 F), not an instance.
  dicomdir__DICOMDIR: 'not-an-image',
}

/** How one file fared. */
interface Sent extends CatalogueEntry {
  by: 'C-STORE' | 'HTTP'
  /** Null where it was refused. */
  id: string | null
  /** Code of the refusal; null where it was stored. */
  code: string | null
}

const title = missing.length > 0 ? `the shared DICOM files (skipped: ${missing.join(', ')})` : 'the shared DICOM files'

describe.skipIf(missing.length > 0)(title, { timeout: 300_000 }, () => {
  let raylog: Raylog
  let sent: Sent[]
  let pid: number

  beforeAll(async () => {
    raylog = await startRaylog()
    pid = raylog.pid
    sent = []
    for (const entry of catalogue()) sent.push(await send(raylog, entry))
    await until('every stage is idle', () => isIdle(raylog), { deadlineMs: 200_000 })
  }, 300_000)
  afterAll(async () => {
    await raylog[Symbol.asyncDispose]()
  })

  it('are each stored, or refused with a code that an operator can look up', () => {
    expect(sent.length).toBeGreaterThan(40)
    for (const { file, id, code } of sent) {
      if (id === null) expect(Object.keys(errorTable), `${file} was refused with ${code}`).toContain(code)
      else expect(code, file).toBeNull()
    }
  })

  it('are taken by C-STORE from DCMTK in every transfer syntax that it can send', () => {
    const syntaxes = new Set(sent.filter(({ by, id }) => by === 'C-STORE' && id !== null).map(({ syntax }) => syntax))
    expect([...syntaxes].sort()).toEqual(Object.keys(proposal).sort())
  })

  it('are all stored where they are valid instances', () => {
    const refused = sent.filter(({ valid, id }) => valid === 'yes' && id === null)
    expect(Object.fromEntries(refused.map(({ file, code }) => [file, code]))).toEqual(refusedRightly)
  })

  it('are all shown as a PNG where they are valid and have pixels', async () => {
    const unseen: string[] = []
    for (const { file, id, valid, frames } of sent) {
      if (id === null || valid !== 'yes' || frames === '') continue
      const response = await raylog.get(`/api/v1/instances/${id}/preview?size=256`)
      const bytes = Buffer.from(await response.arrayBuffer())
      const isPng = bytes.subarray(0, 8).equals(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))
      if (response.status !== 200 || !isPng)
        unseen.push(`${file}: ${response.status} ${bytes.toString('utf8', 0, 300)}`)
    }
    expect(unseen).toEqual([])
  })

  it('say why where they have no picture', async () => {
    for (const { file, id, valid, frames } of sent) {
      if (id === null || (valid === 'yes' && frames !== '')) continue
      const response = await raylog.get(`/api/v1/instances/${id}/preview?size=256`)
      if (response.status === 200) continue
      expect(response.status, file).toBeLessThan(500)
      const { code } = z.object({ code: z.string() }).parse(await response.json())
      expect(Object.keys(errorTable), file).toContain(code)
    }
  })

  it('leave the process alive and well, every stage idle, and only events with a known code parked', async () => {
    expect(raylog.pid).toBe(pid)
    expect(process.kill(pid, 0)).toBe(true)
    await until('all is well', async () => (await raylog.json<{ ok: boolean }>('/api/v1/monitoring/health')).ok)
    // A study that was idle for long enough may be assessed at this very moment.
    await until('every stage is idle', () => isIdle(raylog))
    const { parked, instances } = await census(raylog)
    for (const { code, message } of parked) {
      expect(Object.keys(errorTable), message).toContain(code)
      expect(code, message).not.toBe('internal')
    }
    expect(new Set(instances.map(({ id }) => id))).toEqual(new Set(sent.flatMap(({ id }) => id ?? [])))
  })
})

function installed(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' })
    return true
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')
  }
}

/** CATALOGUE.csv; its first columns hold neither quotes nor commas, what comes after the 12th is not needed. */
function catalogue(): CatalogueEntry[] {
  const [header = '', ...lines] = readFileSync(join(folder ?? '', 'CATALOGUE.csv'), 'utf8')
    .trim()
    .split('\n')
  const names = header.split(',')
  return lines.map(line => {
    const cells = line.split(',')
    const cell = (name: string) => cells[names.indexOf(name)] ?? ''
    return { file: cell('file'), syntax: cell('ts_uid'), valid: cell('valid'), frames: cell('frames') }
  })
}

async function send(raylog: Raylog, entry: CatalogueEntry): Promise<Sent> {
  const option = proposal[entry.syntax]
  if (option) {
    const before = await ids(raylog)
    const logged = raylog.logs().length
    const answer = await storescu(raylog, option, join(folder ?? '', entry.file))
    if (answer === 'Success') {
      const id = await until(`${entry.file} is in the list`, async () =>
        (await ids(raylog)).find(x => !before.includes(x)),
      )
      return { ...entry, by: 'C-STORE', id, code: null }
    }
    if (answer !== undefined) {
      const code = await until(
        `the log says why ${entry.file} was refused: ${answer}`,
        () => /"code":"([a-z-]+)"/.exec(raylog.logs().slice(logged))?.[1],
      )
      return { ...entry, by: 'C-STORE', id: null, code }
    }
  }
  return { ...entry, by: 'HTTP', ...(await upload(raylog, join(folder ?? '', entry.file))) }
}

/** `-R` proposes the file's own SOP class alone, not the hundred that DCMTK thinks of first. @returns the words for the status of the response; undefined when storescu could not send the file */
async function storescu(raylog: Raylog, option: string, path: string): Promise<string | undefined> {
  const args = ['-v', '-R', option, '-aec', 'RAYLOG', '127.0.0.1', String(raylog.dicomPort), path]
  // DCMTK waits 40 ms for each answer otherwise.
  const env = { ...process.env, TCP_NODELAY: '1' }
  const said = await run('storescu', args, { env }).catch((thrown: { stdout?: string; stderr?: string }) => thrown)
  return /Received Store Response \((.*?)\)/.exec(`${said.stdout}${said.stderr}`)?.[1]
}

const uploadAnswer = z.object({
  items: z.array(z.object({ id: z.string().optional(), error: z.object({ code: z.string() }).optional() })).optional(),
  code: z.string().optional(),
})

async function upload(raylog: Raylog, path: string): Promise<Pick<Sent, 'id' | 'code'>> {
  const form = new FormData()
  form.append('file', new Blob([readFileSync(path)]), 'image.dcm')
  const answer = uploadAnswer.parse(await (await raylog.post('/api/v1/instances', form)).json())
  const [item] = answer.items ?? []
  const id = item?.id
  if (id === undefined) return { id: null, code: item?.error?.code ?? answer.code ?? null }
  // Else the next file to be sent would be taken for this one when the list grows.
  await until(`${path} is in the list`, async () => (await ids(raylog)).includes(id))
  return { id, code: null }
}

async function ids(raylog: Raylog): Promise<string[]> {
  return (await census(raylog)).instances.map(({ id }) => id)
}
