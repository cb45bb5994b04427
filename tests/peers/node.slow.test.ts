/** Query, retrieval and storage commitment, asked for by tools that nobody here wrote: DCMTK, pynetdicom and Orthanc. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { type OpenNode, openNode } from '../harness/dicom-node.ts'
import { dataSetOf } from '../harness/dicom-peer.ts'
import { pynetdicom, runPython } from '../harness/python.ts'
import { freePort } from '../harness/raylog.ts'
import { titleOf } from '../harness/tools.ts'
import { until } from '../harness/until.ts'

const run = promisify(execFile)

/** DCMTK waits 40 ms for each answer otherwise. */
const env = { ...process.env, TCP_NODELAY: '1' }
const seeds = [1, 2, 3]
const { study } = chestUids(1)
const uids = seeds.map(seed => chestUids(seed).sopInstance)
/** The last of them is in a series of its own. */
const [sharedSeries, ownSeries] = [chestUids(1).series, chestUids(5).series]

function image(seed: number): Buffer {
  const bytes = chestDicom(seed, { study: 1 })
  // UIDs of these images are all as long as each other.
  if (seed === 3) bytes.write(ownSeries, bytes.indexOf(sharedSeries), 'latin1')
  return bytes
}

let folder = ''
let node: OpenNode
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-peers-'))
})
afterEach(async () => {
  await node[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** A node with a study of three and one of one, that knows somebody by this AE title on this port. */
async function open(aeTitle: string, port: number): Promise<void> {
  const services = ['store', 'query', 'retrieve', 'commitment']
  node = await openNode({
    network: { peers: [{ name: 'peer', aeTitle, host: '127.0.0.1', port, services }] },
    settings: { acceptAnyoneOnThisNetwork: true, commitment: { holdMs: 500, settleMs: 1_000, retryMs: 500 } },
  })
  await node.keep(...seeds.map(image), chestDicom(9))
}

async function received(): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(join(folder))) {
    const bytes = await readFile(join(folder, name))
    for (const [i, seed] of seeds.entries())
      if (dataSetOf(bytes).equals(dataSetOf(image(seed)))) found.push(uids[i] ?? '')
  }
  return found.toSorted()
}

const ofStudy = `StudyInstanceUID=${study}`
const ofImage = `SOPInstanceUID=${uids[2]}`
/** Information model, level, keys, and the instances that they name. */
const levels: [string, string, string[], (string | undefined)[]][] = [
  ['-P', 'PATIENT', ['PatientID=DEMO-00000001'], uids],
  ['-P', 'STUDY', ['PatientID=DEMO-00000001', ofStudy], uids],
  ['-S', 'STUDY', [ofStudy], uids],
  ['-S', 'SERIES', [ofStudy, `SeriesInstanceUID=${sharedSeries}`], uids.slice(0, 2)],
  ['-S', 'IMAGE', [ofStudy, `SeriesInstanceUID=${ownSeries}`, ofImage], [uids[2]]],
]

const dcmtk = titleOf('DCMTK', ['findscu', 'getscu', 'movescu', 'storescu'])

describe.skipIf(dcmtk.missing.length > 0)(dcmtk.title, () => {
  const keysOf = (level: string, ...keys: string[]) =>
    [`QueryRetrieveLevel=${level}`, ...keys].flatMap(key => ['-k', key])

  it('finds patients, studies, series and images', async () => {
    await open('MOVESCU', await freePort())
    const ask = async (model: string, level: string, ...keys: string[]) => {
      const args = [model, '-aec', 'RAYLOG', '127.0.0.1', String(node.port), ...keysOf(level, ...keys)]
      const { stdout, stderr } = await run('findscu', ['-v', ...args], { env })
      return `${stdout}${stderr}`
    }
    const patients = await ask('-P', 'PATIENT', 'PatientID=DEMO-*', 'PatientName')
    expect(
      patients
        .match(/DEMO-\d+/g)
        ?.filter(id => id !== 'DEMO-')
        .toSorted(),
    ).toEqual(['DEMO-00000001', 'DEMO-00000009'])
    expect(await ask('-S', 'STUDY', `StudyInstanceUID=${study}`, 'NumberOfStudyRelatedInstances')).toMatch(/\[3 ?\]/)
    expect(await ask('-S', 'SERIES', `StudyInstanceUID=${study}`, 'SeriesInstanceUID', 'Modality')).toContain('[DX]')
    const images = await ask('-S', 'IMAGE', `StudyInstanceUID=${study}`, 'SOPInstanceUID')
    for (const uid of uids) expect(images).toContain(uid)
    expect(images).not.toContain(chestUids(9).sopInstance)
  })

  it.each(levels)('gets with getscu %s %s what it names, as it is stored', async (model, level, keys, expected) => {
    await open('MOVESCU', await freePort())
    const args = ['-v', model, '+B', '-od', folder, '-aec', 'RAYLOG', '127.0.0.1', String(node.port)]
    await run('getscu', [...args, ...keysOf(level, ...keys)], { env })
    expect(await received()).toEqual(expected)
  })

  it('keeps what storescu sends under a UID that is taken beside what was there, and gives what was there', async () => {
    await open('STORESCU', await freePort())
    const other = image(1)
    other.fill(0x55, other.length - 1_000)
    await writeFile(join(folder, 'other.dcm'), other)
    await run('storescu', ['-aec', 'RAYLOG', '127.0.0.1', String(node.port), join(folder, 'other.dcm')], { env })
    await rm(join(folder, 'other.dcm'))
    const of = node.stage.published.filter(({ dicom }) => dicom?.sopInstance === uids[0])
    expect(new Set(of.map(({ id }) => id)).size).toBe(2)
    const kept = await Promise.all(of.map(({ object }) => node.stage.stores.objects.get(object.key)))
    expect(kept.map(dataSetOf)).toEqual([image(1), other].map(dataSetOf))
    const key = keysOf('IMAGE', ofStudy, `SeriesInstanceUID=${sharedSeries}`, `SOPInstanceUID=${uids[0]}`)
    await run('getscu', ['-S', '+B', '-od', folder, '-aec', 'RAYLOG', '127.0.0.1', String(node.port), ...key], { env })
    expect(await received()).toEqual([uids[0]])
  })

  it.each(levels)('moves to itself with movescu %s %s what it names', async (model, level, keys, expected) => {
    const port = await freePort()
    await open('MOVESCU', port)
    const titles = ['-aet', 'MOVESCU', '-aem', 'MOVESCU', '-aec', 'RAYLOG', '127.0.0.1', String(node.port)]
    const args = ['-v', model, '+B', '+P', String(port), '-od', folder, ...titles, ...keysOf(level, ...keys)]
    // What is kept bit by bit goes where it was started, whatever -od says.
    await run('movescu', args, { env, cwd: folder })
    expect(await received()).toEqual(expected)
  })
})

const { python, missing, title } = await pynetdicom()

describe.skipIf(missing)(title, () => {
  it('finds, gets and moves at every level, cancels, and has its storage commitments, on both kinds of association', {
    timeout: 240_000,
  }, async () => {
    const port = await freePort()
    await open('PYNET', port)
    const script = join(import.meta.dirname, 'pynetdicom_node.py')
    const said: unknown = JSON.parse(await runPython(python, [script, String(node.port), String(port), study, ...uids]))
    expect(said).toEqual({
      studies: [
        [study, 3],
        [chestUids(9).study, 1],
      ].toSorted(),
      findStatuses: [0xff00, 0xff00, 0],
      patients: ['DEMO-00000001', 'DEMO-00000009'],
      getStatuses: [0xff00, 0xff00, 0],
      got: uids.map(uid => [uid, 256 * 256 * 2]),
      moveStatuses: [0xff00, 0xff00, 0],
      moved: uids,
      actionStatus: 0,
      reports: [[2, 1, 1]],
      sameAssociation: [[1, 1, 0]],
      // Of both models: how many match at each level, and the last status.
      found: { PATIENT: 1, STUDY: 1, SERIES: 2, IMAGE: 3, STUDY2: 1, SERIES2: 2, IMAGE2: 3 },
      series: uids.slice(0, 2),
      image: [uids[2]],
      patient: uids,
      movedSeries: uids.slice(0, 2),
      cancelled: [0xfe00, 1, 2],
    })
  })
})

const orthanc = titleOf('Orthanc', ['Orthanc'])

describe.skipIf(orthanc.missing.length > 0)(orthanc.title, () => {
  let child: ChildProcess | undefined
  afterEach(async () => {
    const gone = new Promise(resolve => child?.once('exit', resolve))
    if (child?.kill('SIGKILL')) await gone
  })

  async function start(port: number): Promise<(path: string, body?: unknown) => Promise<unknown>> {
    const http = await freePort()
    const file = join(folder, 'orthanc.json')
    const settings = {
      Name: 'peer',
      StorageDirectory: join(folder, 'db'),
      IndexDirectory: join(folder, 'db'),
      DicomAet: 'ORTHANC',
      DicomPort: port,
      HttpPort: http,
      AuthenticationEnabled: false,
      RemoteAccessAllowed: false,
      DicomModalities: { raylog: { AET: 'RAYLOG', Host: '127.0.0.1', Port: node.port } },
      Plugins: [],
    }
    await writeFile(file, JSON.stringify(settings))
    child = spawn('Orthanc', [file], { stdio: 'ignore' })
    const call = async (path: string, body?: unknown): Promise<unknown> => {
      const bytes = body instanceof Uint8Array ? Uint8Array.from(body) : JSON.stringify(body)
      const how = body === undefined ? {} : { method: 'POST', body: bytes }
      const response = await fetch(`http://127.0.0.1:${http}${path}`, how)
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return response.json()
    }
    await until('Orthanc listens', () => call('/system').catch(() => undefined))
    return call
  }

  const committed = (call: (path: string) => Promise<unknown>, id: string) =>
    until('the report has come', async () => {
      const said = Object(await call(`/storage-commitment/${id}`))
      return said.Status === 'Pending' ? undefined : said
    })

  it('stores what it has, and has it committed', { timeout: 240_000 }, async () => {
    const port = await freePort()
    await open('ORTHANC', port)
    const call = await start(port)
    const file = chestDicom(7)
    const { ID } = Object(await call('/instances', file))
    const body = { Resources: [ID], Synchronous: true, StorageCommitment: true }
    const sent = Object(await call('/modalities/raylog/store', body))
    expect(sent).toMatchObject({ InstancesCount: 1, FailedInstancesCount: 0 })
    const kept = node.stage.published.find(({ dicom }) => dicom?.sopInstance === chestUids(7).sopInstance)
    expect(dataSetOf(await node.stage.stores.objects.get(kept?.object.key ?? '')).equals(dataSetOf(file))).toBe(true)
    expect(await committed(call, sent.StorageCommitmentTransactionUID)).toMatchObject({
      Status: 'Success',
      Failures: [],
    })
  })

  it('queries, retrieves to itself, and has its storage commitment', { timeout: 240_000 }, async () => {
    const port = await freePort()
    await open('ORTHANC', port)
    const call = await start(port)
    const query = Object(
      await call('/modalities/raylog/query', { Level: 'Study', Query: { PatientID: 'DEMO-00000001' } }),
    )
    expect(await call(`/queries/${query.ID}/answers`)).toEqual(['0'])
    await call(`/queries/${query.ID}/retrieve`, { TargetAet: 'ORTHANC' })
    expect(Object(await call('/statistics')).CountInstances).toBe(3)
    const references = uids.map(uid => [chestUids(1).sopClass, uid])
    const asked = Object(await call('/modalities/raylog/storage-commitment', { DicomInstances: references }))
    expect(await committed(call, asked.ID)).toMatchObject({ Status: 'Success', Failures: [] })
  })
})
