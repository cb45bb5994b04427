/** C-GET from a PACS that is written with pynetdicom: each transfer syntax comes as it is stored there, video too. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readFileMeta } from '../../dicom/part10.ts'
import { platformConfig } from '../../schemas/config.ts'
import { pynetdicom } from '../../tests/harness/python.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { transferSyntaxNames } from '../dimse/syntaxes.ts'
import { dicomSource } from './dicom.ts'

const { python, missing, title } = await pynetdicom('a PACS of pynetdicom')
const script = join(import.meta.dirname, 'pacs.py')
const has = z.object({ study: z.string(), pixels: z.record(z.string(), z.tuple([z.string(), z.string()])) })

let child: ChildProcess | undefined
afterEach(async () => {
  const gone = new Promise(resolve => child?.once('exit', resolve))
  if (child?.kill('SIGKILL')) await gone
})

/** What the PACS has, once it listens. */
async function start(port: number, syntaxes: readonly string[]): Promise<z.infer<typeof has>> {
  child = spawn(python, [script, String(port), JSON.stringify(syntaxes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (!child.stdout) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) return has.parse(JSON.parse(line))
  throw new Error('the PACS ended')
}

describe.skipIf(missing)(title, () => {
  it('gives by C-GET what it has in each transfer syntax as it is', { timeout: 120_000 }, async () => {
    // Others may come in the encoding that everybody has.
    const asked = /1\.2$|1\.2\.1$|1\.2\.5$|1\.2\.4\./
    const syntaxes = [...transferSyntaxNames.keys()].filter(uid => asked.test(uid))
    expect(syntaxes).toHaveLength(2 + 17 + 16)
    const port = await freePort()
    const { study, pixels } = await start(port, syntaxes)
    const { peers } = platformConfig.parse({ peers: [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port }] })
    const [peer] = peers
    if (!peer) throw new Error('no peer')
    const timers = { associateMs: 30_000, answerMs: 30_000 }
    const source = dicomSource({ peer, dicomTls: null, calling: 'RAYLOG', how: 'get', ...timers })
    const { signal } = new AbortController()
    const found = await source.instances(study, signal)
    expect(found.map(({ sopInstance }) => sopInstance).toSorted()).toEqual(Object.keys(pixels).toSorted())
    const came = new Map<string, Buffer>()
    await source.fetch(
      study,
      found,
      async (file, expected) => {
        const chunks: Uint8Array[] = []
        for await (const chunk of file) chunks.push(chunk)
        came.set(expected?.sopInstance ?? '', Buffer.concat(chunks))
      },
      signal,
    )
    const wrong = Object.entries(pixels).filter(([uid, [syntax, hex]]) => {
      const bytes = came.get(uid) ?? Buffer.alloc(0)
      const plain = /1\.2(\.1)?$/
      const got = readFileMeta(bytes)?.transferSyntax ?? 'none'
      return !(got === syntax || (plain.test(got) && plain.test(syntax))) || !bytes.includes(Buffer.from(hex, 'hex'))
    })
    expect(wrong.map(([, [syntax]]) => syntax)).toEqual([])
  })
})
