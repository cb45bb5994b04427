/** Orthanc, over DIMSE and DICOMweb, and dcmqrscp as the peers that studies are pulled from. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort, type Raylog, startRaylog } from '../../tests/harness/raylog.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom } from '../simulator/phantoms.ts'

const run = promisify(execFile)
const env = { ...process.env, TCP_NODELAY: '1' }
const has = (tool: string) => ['/usr/bin', '/usr/sbin'].some(at => existsSync(join(at, tool)))
const plugins = ['/usr/share/orthanc/plugins', '/usr/lib/orthanc'].find(at =>
  existsSync(join(at, 'libOrthancDicomWeb.so')),
)
const orthancThere = has('Orthanc') && plugins !== undefined
const qrscpThere = has('dcmqrscp') && has('storescu')

const images = 12
let folder = ''
let ports: { dicom: number; http: number; qrscp: number; raylog: number }
const children: ChildProcess[] = []

function launch(command: string, args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore', env })
  children.push(child)
  return child
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-retrieve-'))
  ports = { dicom: await freePort(), http: await freePort(), qrscp: await freePort(), raylog: await freePort() }
  for (let seed = 0; seed < images; seed++) await writeFile(join(folder, `${seed}.dcm`), chestDicom(seed))
  // Half of them in one series, so that several are asked for in one request.
  const half = Array.from({ length: images / 2 }, (_, seed) => join(folder, `${seed}.dcm`))
  if (has('dcmodify'))
    await run('dcmodify', [
      '-nb',
      '-m',
      '0020,000d=2.25.777',
      '-m',
      '0020,000e=2.25.778',
      '-m',
      '0010,0020=SHARED',
      ...half,
    ])
  if (orthancThere) {
    const config = {
      ...{ StorageDirectory: join(folder, 'orthanc'), IndexDirectory: join(folder, 'orthanc'), Plugins: [plugins] },
      ...{ DicomPort: ports.dicom, DicomAet: 'ORTHANC', HttpPort: ports.http, RemoteAccessAllowed: true },
      ...{ AuthenticationEnabled: true, RegisteredUsers: { someone: 'secret' }, DicomAlwaysAllowGet: true },
      DicomModalities: { raylog: ['RAYLOG', '127.0.0.1', ports.raylog] },
      DicomWeb: { Enable: true, Root: '/dicom-web/' },
    }
    await writeFile(join(folder, 'orthanc.json'), JSON.stringify(config))
    await writeFile(join(folder, 'password'), 'secret\n')
    launch('Orthanc', [join(folder, 'orthanc.json')])
    await until('Orthanc answers', () =>
      run('echoscu', ['127.0.0.1', String(ports.dicom)], { env }).then(
        () => true,
        () => false,
      ),
    )
    await run('storescu', ['-aec', 'ORTHANC', '127.0.0.1', String(ports.dicom), '+sd', folder, '+sp', '*.dcm'], { env })
  }
  if (qrscpThere) {
    const area = join(folder, 'qrscp')
    await mkdir(area)
    const config = `NetworkTCPPort = ${ports.qrscp}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
raylog = (RAYLOG, 127.0.0.1, ${ports.raylog})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QR ${area} RW (100, 1024mb) ANY
AETable END
`
    await writeFile(join(folder, 'qrscp.cfg'), config)
    launch('dcmqrscp', ['-c', join(folder, 'qrscp.cfg')])
    await until('dcmqrscp answers', () =>
      run('echoscu', ['-aec', 'QR', '127.0.0.1', String(ports.qrscp)], { env }).then(
        () => true,
        () => false,
      ),
    )
    await run('storescu', ['-aec', 'QR', '127.0.0.1', String(ports.qrscp), '+sd', folder, '+sp', '*.dcm'], { env })
  }
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

let raylog: Raylog | undefined
afterEach(async () => {
  await raylog?.[Symbol.asyncDispose]()
  raylog = undefined
})

interface View {
  id: string
  state: string
  studies: { uid: string; state: string; expected: number | null; here: number; code: string | null }[]
  unknown: number
  received: number
  error: unknown
}

async function start(): Promise<Raylog> {
  const peers = [
    { name: 'orthanc', aeTitle: 'ORTHANC', host: '127.0.0.1', port: ports.dicom },
    { name: 'qr', aeTitle: 'QR', host: '127.0.0.1', port: ports.qrscp },
    {
      name: 'web',
      dicomweb: {
        url: `http://127.0.0.1:${ports.http}/dicom-web`,
        ...{ username: 'someone', passwordFile: join(folder, 'password') },
      },
    },
  ]
  raylog = await startRaylog({
    set: [
      ...[`peers=${JSON.stringify(peers)}`, `dimse.port=${ports.raylog}`, 'models.workers=1'],
      ...['retrieve.beatMs=100', 'retrieve.leaseMs=5000', 'retrieve.atOnce=4'],
    ],
  })
  return raylog
}

async function ask(body: object): Promise<View> {
  const answer = await raylog?.post('/api/v1/retrievals', JSON.stringify(body), { 'content-type': 'application/json' })
  if (answer?.status !== 201) throw new Error(`${answer?.status} ${await answer?.text()}`)
  return (await answer.json()) as View
}

const ended = (id: string) =>
  until('the retrieval ends', async () => {
    const view = await raylog?.json<View>(`/api/v1/retrievals/${id}`)
    return view && ['done', 'failed', 'cancelled'].includes(view.state) ? view : undefined
  })

const counted = () =>
  raylog?.json<{ totals: { instances: number } }>('/api/v1/stats').then(({ totals }) => totals.instances)

/** UIDs, accession number and patient id of a file, as DCMTK reads them. */
async function dump(file: string) {
  const { stdout } = await run('dcmdump', ['-q', join(folder, file)])
  const value = (tag: string) => new RegExp(`\\(${tag}\\) .. \\[([^\\]]*)\\]`).exec(stdout)?.[1]?.trim() ?? ''
  return { study: value('0020,000d'), accession: value('0008,0050'), patientId: value('0010,0020') }
}

/** Every study of the files, in an order that stays. */
async function allStudies(): Promise<string[]> {
  const all = await Promise.all((await readdir(folder)).filter(name => name.endsWith('.dcm')).map(dump))
  return [...new Set(all.map(({ study }) => study))].toSorted()
}

/** Studies by accession number and patient; neither is told to anyone. */
async function finds(peer: string): Promise<void> {
  await start()
  const first = await dump('9.dcm')
  expect(first.accession).not.toBe('')
  const byAccession = await ended((await ask({ peer, accessionNumbers: [first.accession, 'NOSUCH-2'] })).id)
  expect(byAccession).toMatchObject({
    state: 'done',
    unknown: 1,
    studies: [{ uid: first.study, state: 'done', here: 1 }],
  })
  const priors = await ended((await ask({ peer, priors: { patientId: first.patientId, most: 3 } })).id)
  expect(priors.state).toBe('done')
  expect(priors.studies.map(({ uid }) => uid)).toEqual([first.study])
  const queries = await until('its queries are in the audit', async () => {
    const list = await raylog?.json<{ items: { detail: Record<string, string> }[] }>('/api/v1/audit?action=query')
    const keys = list?.items
      .filter(({ detail }) => detail.peer === peer)
      .map(({ detail }) => detail.query?.split(' ')[1])
    return new Set(keys).size === 3 ? keys : undefined
  })
  expect(new Set(queries)).toEqual(new Set(['AccessionNumber', 'PatientID', 'StudyInstanceUID']))
  const asked = await raylog?.json<{ items: object[] }>('/api/v1/audit?action=retrieval-asked')
  expect(asked?.items).toMatchObject([byAccession, priors].map(({ id }) => ({ object: id, actor: 'token' })).reverse())
  for (const secret of ['NOSUCH-2', first.accession, first.patientId]) {
    expect(raylog?.logs()).not.toContain(secret)
    expect(await (await raylog?.get('/api/v1/retrievals'))?.text()).not.toContain(secret)
    expect(await (await raylog?.get('/api/v1/audit'))?.text()).not.toContain(secret)
  }
}

/** HH:MM so many minutes from now, by the clock of the machine. */
function timeOfDay(minutes: number): string {
  const at = new Date(Date.now() + minutes * 60_000)
  return `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`
}

describe.skipIf(!orthancThere)(orthancThere ? 'Orthanc' : 'Orthanc (skipped: not installed)', () => {
  it.each([
    ['orthanc', 'get'],
    ['orthanc', 'move'],
    ['web', 'dicomweb'],
  ])('gives %s by %s what is asked for, each once', async (peer, how) => {
    await start()
    const studies = await allStudies()
    const view = await ended((await ask({ peer, how, studies })).id)
    expect(view).toMatchObject({ state: 'done', error: null, received: how === 'move' ? 0 : images })
    await until('they are in the documents', async () => (await counted()) === images)
    // Asked for again, all is here already.
    expect(await ended((await ask({ peer, how, studies })).id)).toMatchObject({ state: 'done', received: 0 })
    expect(await counted()).toBe(images)
  })

  it.each(['orthanc', 'web'])('%s finds studies by accession number and patient, and neither is told to anyone', finds)

  it('is pulled from to the end by a process that was killed in the middle, nothing doubled', async () => {
    await start()
    const studies = await allStudies()
    const { id } = await ask({ peer: 'orthanc', studies, ratePerSecond: 10 })
    await until('some are here', async () => ((await counted()) ?? 0) >= 3)
    await raylog?.kill()
    await raylog?.restart()
    expect(await ended(id)).toMatchObject({ state: 'done' })
    await until('all are here', async () => (await counted()) === images)
    const { items } = (await raylog?.json<{ items: { dicom: { sopInstance: string } }[] }>(
      '/api/v1/instances?limit=100',
    )) ?? { items: [] }
    expect(new Set(items.map(({ dicom }) => dicom.sopInstance)).size).toBe(images)
    expect(items).toHaveLength(images)
  })

  it('is paused, sends nothing then, goes on and is cancelled as asked', async () => {
    await start()
    const studies = await allStudies()
    const last = studies.at(-1) ?? ''
    // So slow that it is far from its end at each step, however slow the machine is.
    const { id } = await ask({ peer: 'orthanc', studies, ratePerSecond: 0.1 })
    const state = async () => (await raylog?.json<View>(`/api/v1/retrievals/${id}`))?.state
    await until('some are here', async () => ((await counted()) ?? 0) >= 1)
    await raylog?.post(`/api/v1/retrievals/${id}/pause`)
    await until('it rests', async () => (await state()) === 'paused')
    // Another has time to begin and to end, and nothing but what it asked for comes.
    const { received: before = 0 } = (await raylog?.json<View>(`/api/v1/retrievals/${id}`)) ?? {}
    const { received } = await ended((await ask({ peer: 'orthanc', studies: [last] })).id)
    expect(received).toBeGreaterThan(0)
    await until('both are counted', async () => (await counted()) === before + received)
    await raylog?.post(`/api/v1/retrievals/${id}/resume`)
    await until('it goes on', async () => ((await counted()) ?? 0) > before + received)
    await raylog?.post(`/api/v1/retrievals/${id}/cancel`)
    await until('it is over', async () => (await state()) === 'cancelled')
    expect((await raylog?.post(`/api/v1/retrievals/${id}/resume`))?.status).toBe(400)
  })

  it('works within its hours alone, and no faster than its rate', async () => {
    await start()
    const studies = await allStudies()
    const later = await ask({ peer: 'orthanc', studies, hours: { from: timeOfDay(120), to: timeOfDay(180) } })
    const view = () => raylog?.json<View>(`/api/v1/retrievals/${later.id}`)
    await until('it waits for its hours', async () => (await view())?.state === 'waiting')
    const startedAt = performance.now()
    const hours = { from: timeOfDay(-120), to: timeOfDay(120) }
    const now = await ended((await ask({ peer: 'orthanc', studies, hours, ratePerSecond: 5 })).id)
    // Each image but the first waited for a fifth of a second.
    expect(performance.now() - startedAt).toBeGreaterThan(((images - 1) / 5) * 1_000)
    expect(now).toMatchObject({ state: 'done', received: images })
    expect(await view()).toMatchObject({ state: 'waiting', received: 0 })
  })
})

describe.skipIf(!qrscpThere)(qrscpThere ? 'dcmqrscp' : 'dcmqrscp (skipped: dcmtk is not installed)', () => {
  it.each(['get', 'move'])('gives by %s what is asked for', async how => {
    await start()
    const studies = await allStudies()
    const view = await ended((await ask({ peer: 'qr', how, studies: [...studies, '1.2.3.4'] })).id)
    expect(view.state).toBe('done')
    expect(view.studies.filter(({ state }) => state === 'failed')).toMatchObject([
      { uid: '1.2.3.4', code: 'not-found' },
    ])
    await until('they are in the documents', async () => (await counted()) === images)
  })

  it('finds studies by accession number and patient, and neither is told to anyone', () => finds('qr'))
})
