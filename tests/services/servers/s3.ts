/** S3: versitygw over a folder, built from the Go module proxy. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../harness/raylog.ts'
import { answers, execute, installed, type Server, startServer, workFolder } from './server.ts'

const version = '1.8.0'

const install = async (folder: string): Promise<void> => {
  await execute('go', ['install', `github.com/versity/versitygw/cmd/versitygw@v${version}`], {
    env: { ...process.env, GOBIN: folder },
  })
}

export interface S3 extends AsyncDisposable {
  url: string
  port: number
  accessKey: string
  secretKey: string
  server: Server
}

export async function startS3(): Promise<S3> {
  const home = await installed(`versitygw-${version}`, install)
  const port = await freePort()
  const folder = workFolder('s3')
  const [data, sidecar] = [join(folder, 'data'), join(folder, 'meta')]
  for (const path of [data, sidecar]) mkdirSync(path)
  const [accessKey, secretKey] = ['testkey', 'testsecret12']
  const url = `http://127.0.0.1:${port}`
  const server = await startServer({
    name: 'S3',
    command: join(home, 'versitygw'),
    args: [
      '--port',
      `127.0.0.1:${port}`,
      '--region',
      'us-east-1',
      '--quiet',
      '--keep-alive',
      'posix',
      '--sidecar',
      sidecar,
      data,
    ],
    env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
    folder,
    ready: () => answers(url),
  })
  return { url, port, accessKey, secretKey, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}
