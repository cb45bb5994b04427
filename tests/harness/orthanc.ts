/** Orthanc with DICOMweb in a folder of its own: stopped and started again on what it has. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './raylog.ts'
import { until } from './until.ts'

const plugins = ['/usr/share/orthanc/plugins', '/usr/lib/orthanc'].find(at =>
  existsSync(join(at, 'libOrthancDicomWeb.so')),
)
export const hasOrthanc = plugins !== undefined && ['/usr/bin', '/usr/sbin'].some(at => existsSync(join(at, 'Orthanc')))

export interface Orthanc {
  readonly dicomPort: number
  readonly url: string
  /** Password of `someone`. */
  readonly password: string
  start(): Promise<void>
  stop(): Promise<void>
  /** SIGKILL, in the middle of whatever it does. */
  kill(): Promise<void>
  /** Its REST API. */
  get(path: string): Promise<unknown>
  post(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<unknown>
  /** What it answers that is no JSON: a file, a picture. @throws where it has none */
  bytes(path: string): Promise<Buffer>
}

/**
 * The caller stops it.
 * @param modality AE title and port of who asks for storage commitment
 * @param options slow: as it is shipped, where each answer waits 40 ms for an acknowledgement of TCP
 */
export async function makeOrthanc(
  folder: string,
  modality: { aeTitle: string; port: number },
  { slow = false }: { slow?: boolean } = {},
): Promise<Orthanc> {
  const [dicomPort, httpPort] = [await freePort(), await freePort()]
  const password = 'secret'
  const url = `http://127.0.0.1:${httpPort}`
  const file = join(folder, 'orthanc.json')
  const config = {
    ...{ StorageDirectory: join(folder, 'orthanc'), IndexDirectory: join(folder, 'orthanc'), Plugins: [plugins] },
    ...{ DicomPort: dicomPort, DicomAet: 'ORTHANC', HttpPort: httpPort, RemoteAccessAllowed: true },
    ...{ AuthenticationEnabled: true, RegisteredUsers: { someone: password } },
    DicomModalities: { raylog: [modality.aeTitle, '127.0.0.1', modality.port] },
    DicomWeb: { Enable: true, Root: '/dicom-web/' },
  }
  await writeFile(file, JSON.stringify(config))
  const headers = { authorization: `Basic ${Buffer.from(`someone:${password}`).toString('base64')}` }
  let child: ChildProcess | undefined
  const get = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`, { headers })).json()
  const post = async (path: string, body: string | Uint8Array<ArrayBuffer>): Promise<unknown> =>
    (await fetch(`${url}${path}`, { method: 'POST', headers, body })).json()
  const bytes = async (path: string): Promise<Buffer> => {
    const answer = await fetch(`${url}${path}`, { headers })
    if (!answer.ok) throw new Error(`Orthanc answered ${answer.status} for ${path}`)
    return Buffer.from(await answer.arrayBuffer())
  }
  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
  return {
    ...{ dicomPort, url, password, get, post, bytes },
    async start() {
      child = spawn('Orthanc', [file], { stdio: 'ignore', env: { ...process.env, TCP_NODELAY: slow ? '0' : '1' } })
      await until('Orthanc answers', () =>
        get('/system').then(
          () => true,
          () => false,
        ),
      )
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}
