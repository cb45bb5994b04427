/** Peers that take uncompressed images alone: DCMTK and Orthanc ask for compressed ones, pydicom says whether the pixels are the same. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readFileMeta } from '../../dicom/part10.ts'
import { describe as describeImage } from '../../models/imaging/header.ts'
import { type OpenNode, openNode } from '../harness/dicom-node.ts'
import { pythonWith, runPython } from '../harness/python.ts'
import { freePort } from '../harness/raylog.ts'
import { titleOf } from '../harness/tools.ts'
import { until } from '../harness/until.ts'

const run = promisify(execFile)
const fixtures = join(import.meta.dirname, '../../models/fixtures/imaging')
/** Each with the largest difference: codecs of lossy images may round otherwise than pydicom's. */
const files: Record<string, number> = {
  'rle-frames.dcm': 0,
  'rle-uint16-rgb.dcm': 0,
  'jpeg-57-uint16.dcm': 0,
  'jpeg-70-signed-12.dcm': 0,
  'jpeg-ls-80-frames.dcm': 0,
  'jpeg-ls-80-rgb-ilv1.dcm': 0,
  'jpeg-ls-81-uint16.dcm': 1,
  'htj2k-201-frames.dcm': 0,
  'htj2k-202-uint8-rgb.dcm': 0,
  'htj2k-203-uint8.dcm': 1,
  'j2k-90-frames.dcm': 0,
  'j2k-90-uint8-rgb.dcm': 0,
  'j2k-91-uint16.dcm': 1,
  'jpeg-50-ybr-422.dcm': 3,
  'jpeg-51-12-bits.dcm': 1,
  'big-endian-i16-12-bits.dcm': 0,
  'deflated-u8.dcm': 0,
}
const names = Object.keys(files)
const env = { ...process.env, TCP_NODELAY: '1' }
const python = await pythonWith([
  ...['pydicom==3.0.1', 'numpy==2.2.6', 'pylibjpeg==2.1.0', 'pylibjpeg-libjpeg==2.3.0', 'pylibjpeg-openjpeg==2.5.0'],
])
const dcmtk = titleOf('DCMTK', ['getscu', 'movescu'])
const noPython = 'missing' in python ? ` (skipped: ${python.missing})` : ''

let folder = ''
let node: OpenNode
let study = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-transcode-'))
})
afterEach(async () => {
  await node[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function open(aeTitle: string, port: number): Promise<void> {
  node = await openNode({
    network: { peers: [{ name: 'peer', aeTitle, host: '127.0.0.1', port, services: ['store', 'query', 'retrieve'] }] },
    settings: { acceptAnyoneOnThisNetwork: true },
  })
  await node.keep(...(await Promise.all(names.map(name => readFile(join(fixtures, name))))))
  study = names.map(name => instanceOf(name)).join('\\')
}

const instances = new Map<string, string>()
for (const name of names) instances.set(name, readFileMeta(await readFile(join(fixtures, name)))?.sopInstance ?? '')
const instanceOf = (name: string) => instances.get(name) ?? ''

const report = z.array(
  z.object({ syntax: z.string(), difference: z.int().nullable(), lossy: z.string(), lost: z.array(z.string()) }),
)

/** What came into the folder, beside what was sent. */
async function expectSame(syntax: string): Promise<void> {
  if (!('python' in python)) return
  const received = new Map<string, string>()
  for (const { name: file } of (await readdir(folder, { withFileTypes: true })).filter(one => one.isFile())) {
    const meta = readFileMeta(await readFile(join(folder, file)))
    if (meta) received.set(meta.sopInstance, join(folder, file))
  }
  const pairs = names.flatMap(name => [join(fixtures, name), received.get(instanceOf(name)) ?? `no ${name}`])
  const script = join(import.meta.dirname, 'same_pixels.py')
  const said = report.parse(JSON.parse(await runPython(python.python, [script, ...pairs])))
  for (const [i, name] of names.entries()) {
    const { difference, ...one } = said[i] ?? { difference: null }
    expect({ name, ...one }).toMatchObject({ name, syntax, lost: [] })
    expect(difference ?? 999, name).toBeLessThanOrEqual(files[name] ?? 0)
    if (/jpeg-5|j2k-91|ls-81|htj2k-203/.test(name) && !name.includes('57'))
      expect({ name, ...one }).toMatchObject({ lossy: '01' })
  }
}

const image = () => ['-k', 'QueryRetrieveLevel=IMAGE', '-k', `SOPInstanceUID=${study}`]

describe.skipIf(dcmtk.missing.length > 0 || noPython !== '')(`${dcmtk.title}${noPython}`, () => {
  it('getscu +xe has every one, uncompressed and the same', { timeout: 240_000 }, async () => {
    await open('GETSCU', await freePort())
    const to = ['-aec', 'RAYLOG', '127.0.0.1', String(node.port)]
    await run('getscu', ['-S', '+B', '+xe', '-od', folder, ...to, ...image()], { env })
    await expectSame('1.2.840.10008.1.2.1')
  })

  it('movescu +xi has every one, uncompressed and the same', { timeout: 240_000 }, async () => {
    const port = await freePort()
    await open('MOVESCU', port)
    const to = ['-aet', 'MOVESCU', '-aem', 'MOVESCU', '-aec', 'RAYLOG', '127.0.0.1', String(node.port)]
    await run('movescu', ['-S', '+B', '+xi', '+P', String(port), '-od', folder, ...to, ...image()], {
      env,
      cwd: folder,
    })
    await expectSame('1.2.840.10008.1.2')
  })
})

const orthanc = titleOf('Orthanc', ['Orthanc'])

describe.skipIf(orthanc.missing.length > 0 || noPython !== '')(`${orthanc.title}${noPython}`, () => {
  let child: ChildProcess | undefined
  afterEach(async () => {
    const gone = new Promise(resolve => child?.once('exit', resolve))
    if (child?.kill('SIGKILL')) await gone
  })

  it('that takes Explicit VR Little Endian alone has every one by C-MOVE', { timeout: 240_000 }, async () => {
    const [port, http] = [await freePort(), await freePort()]
    await open('ORTHANC', port)
    const file = join(folder, 'orthanc.json')
    await writeFile(
      file,
      JSON.stringify({
        ...{ StorageDirectory: join(folder, 'db'), IndexDirectory: join(folder, 'db'), DicomAet: 'ORTHANC' },
        ...{ DicomPort: port, HttpPort: http, AuthenticationEnabled: false, Plugins: [] },
        AcceptedTransferSyntaxes: ['1.2.840.10008.1.2.1'],
        DicomModalities: { raylog: { AET: 'RAYLOG', Host: '127.0.0.1', Port: node.port } },
      }),
    )
    child = spawn('Orthanc', [file], { stdio: 'ignore' })
    const call = async (path: string, body?: unknown): Promise<unknown> => {
      const how = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      const response = await fetch(`http://127.0.0.1:${http}${path}`, how)
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return response.json()
    }
    await until('Orthanc listens', () => call('/system').catch(() => undefined))
    const { study: uid } = await describeImage(await readFile(join(fixtures, names[0] ?? '')), true).then(
      ({ facts }) => facts.dicom ?? { study: '' },
    )
    const query = Object(await call('/modalities/raylog/query', { Level: 'Study', Query: { StudyInstanceUID: uid } }))
    await call(`/queries/${query.ID}/retrieve`, { TargetAet: 'ORTHANC' })
    for (const id of z.array(z.string()).parse(await call('/instances'))) {
      const answer = await fetch(`http://127.0.0.1:${http}/instances/${id}/file`)
      await writeFile(join(folder, `${id}.dcm`), Buffer.from(await answer.arrayBuffer()))
    }
    await expectSame('1.2.840.10008.1.2.1')
  })
})
