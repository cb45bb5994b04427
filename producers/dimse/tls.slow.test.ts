/** DICOM over TLS as DCMTK and openssl speak it (PS3.15 B.12). */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Authority, type Certificate, makeAuthority } from '../../tests/harness/certificates.ts'
import { type OpenProducer, openProducer } from '../../tests/harness/producer.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom } from '../simulator/phantoms.ts'
import { storeFile } from '../store-scu.ts'
import { dimse } from './stage.ts'

const run = promisify(execFile)
const env = { ...process.env, TCP_NODELAY: '1' }
const ready = ['storescu', 'storescp', 'echoscu'].every(tool => existsSync(join('/usr/bin', tool)))

let folder = ''
let hospital: Authority
let elsewhere: Authority
let ours: Certificate
let ct: Certificate
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-tls-'))
  hospital = makeAuthority(join(folder, 'hospital'))
  elsewhere = makeAuthority(join(folder, 'elsewhere'), 'Another CA')
  ours = hospital.issue({ name: 'localhost' })
  ct = hospital.issue({ name: 'ct1' })
  await writeFile(join(folder, 'a.dcm'), chestDicom(1))
})
afterAll(() => rm(folder, { recursive: true }))

let stage: OpenProducer | undefined
afterEach(async () => {
  await stage?.close()
  stage = undefined
})

async function start({
  settings = {},
  peers = [],
  certificate = ours,
}: {
  settings?: object
  peers?: object[]
  certificate?: Certificate
} = {}) {
  const dicomTls = { ...certificate, caFile: hospital.caFile }
  const tls = { port: 0, ...settings }
  stage = await openProducer(dimse, { settings: { port: 0, plain: false, tls }, network: { peers, dicomTls } })
  return { stage, port: String(stage.endpoints.dicomTls?.port) }
}

const shows = ({ keyFile, certFile }: Certificate) => ['+tls', keyFile, certFile]
const trusts = (authority: Authority) => ['+cf', authority.caFile]
const echo = (port: string, ...more: string[]) =>
  run('echoscu', [...more, '-aet', 'CT1', '-aec', 'RAYLOG', 'localhost', port], { env })

describe.skipIf(!ready)(ready ? 'DICOM over TLS' : 'DICOM over TLS (skipped: dcmtk is not installed)', () => {
  it.each(['+py', '+px', '+pz'])('takes storescu with a certificate of the CA, profile %s', async profile => {
    const { stage, port } = await start()
    const args = [...shows(ct), ...trusts(hospital), profile, '-aet', 'CT1', 'localhost', port, join(folder, 'a.dcm')]
    await run('storescu', args, { env })
    expect(stage.published).toHaveLength(1)
  })

  it('refuses those without a certificate, of another CA, and expired, and the audit has it', async () => {
    const { stage, port } = await start()
    await expect(echo(port, '+tla', ...trusts(hospital))).rejects.toThrow()
    await until('the first is told', () => stage.audited.length === 1)
    await expect(echo(port, ...shows(elsewhere.issue({ name: 'ct1' })), ...trusts(hospital))).rejects.toThrow()
    await until('the second is told', () => stage.audited.length === 2)
    await expect(
      echo(port, ...shows(hospital.issue({ name: 'ct1', expired: true })), ...trusts(hospital)),
    ).rejects.toThrow()
    await until('the third is told', () => stage.audited.length === 3)
    for (const entry of stage.audited)
      expect(entry).toMatchObject({ action: 'association-rejected', outcome: 'failure', detail: { reason: /^TLS: / } })
    await echo(port, ...shows(ct), ...trusts(hospital))
  })

  it('is refused by those who trust another CA, who are left in peace', async () => {
    const { port } = await start()
    await expect(echo(port, ...shows(ct), ...trusts(elsewhere))).rejects.toThrow()
    await echo(port, ...shows(ct), ...trusts(hospital))
  })

  it('takes those without a certificate where the settings let them, but for a peer that must show one', async () => {
    const peers = [{ name: 'ct', aeTitle: 'CT1', certificate: { commonName: 'ct1' } }]
    const first = await start({ settings: { requireCertificate: false } })
    await echo(first.port, '+tla', ...trusts(hospital))
    await first.stage.close()
    const { stage, port } = await start({ settings: { requireCertificate: false }, peers })
    await expect(echo(port, '+tla', ...trusts(hospital))).rejects.toThrow(/Calling AE Title Not Recognized/)
    await expect(echo(port, ...shows(hospital.issue({ name: 'mr1' })), ...trusts(hospital))).rejects.toThrow(
      /Calling AE/,
    )
    await echo(port, ...shows(ct), ...trusts(hospital))
    expect(stage.audited.map(({ action }) => action)).toEqual([
      'association-rejected',
      'association-rejected',
      'association-opened',
    ])
  })

  it.each([
    ['-tls1', false],
    ['-tls1_1', false],
    ['-tls1_2', true],
    ['-tls1_3', true],
  ])('openssl s_client %s: %s', async (version, accepted) => {
    const { port } = await start()
    const args = [
      's_client',
      '-connect',
      `localhost:${port}`,
      version,
      '-cipher',
      'ALL:@SECLEVEL=0',
      '-CAfile',
      hospital.caFile,
    ]
    const asked = run('openssl', [...args, '-cert', ct.certFile, '-key', ct.keyFile, '-verify_return_error', '-brief'])
    asked.child.stdin?.end()
    const { stderr } = await asked.catch((thrown: { stderr: string }) => thrown)
    expect(/CONNECTION ESTABLISHED/.test(stderr)).toBe(accepted)
  })

  it('offers the suites of the profile alone', async () => {
    const { port } = await start()
    const weak = ['AES128-SHA', 'AES256-GCM-SHA384', 'ECDHE-RSA-AES256-SHA384', 'DHE-RSA-AES128-SHA']
    for (const suite of [...weak, 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384']) {
      const args = ['s_client', '-connect', `localhost:${port}`, '-tls1_2', '-cipher', suite, '-brief']
      const asked = run('openssl', [...args, '-cert', ct.certFile, '-key', ct.keyFile, '-CAfile', hospital.caFile])
      asked.child.stdin?.end()
      const { stderr } = await asked.catch((thrown: { stderr: string }) => thrown)
      expect([suite, /CONNECTION ESTABLISHED/.test(stderr)]).toEqual([suite, !weak.includes(suite)])
    }
  })

  it('takes new certificates without a restart', async () => {
    const [certFile, keyFile] = [join(folder, 'live.pem'), join(folder, 'live.key')]
    const put = async ({ certFile: cert, keyFile: key }: Certificate) => {
      await copyFile(cert, certFile)
      await copyFile(key, keyFile)
    }
    await put(ours)
    const { port } = await start({ settings: { reloadMs: 100 }, certificate: { certFile, keyFile } })
    const serial = async () => {
      const asked = run('openssl', [
        's_client',
        '-connect',
        `localhost:${port}`,
        '-tls1_2',
        '-cert',
        ct.certFile,
        '-key',
        ct.keyFile,
      ])
      asked.child.stdin?.end()
      const { stdout } = await asked.catch((thrown: { stdout: string }) => thrown)
      return stdout
    }
    const before = await serial()
    await put(hospital.issue({ name: 'localhost' }))
    const certificateOf = (text: string) => /-----BEGIN[\s\S]*?-----END/.exec(text)?.[0]
    expect(certificateOf(before)).toBeDefined()
    await until('the new one is shown', async () => certificateOf(await serial()) !== certificateOf(before))
  })

  it('is spoken by our sender too, which checks whom it speaks to', async () => {
    const { stage, port } = await start()
    const dicomTls = { ...ct, caFile: hospital.caFile, checkHostName: true }
    const target = {
      host: 'localhost',
      port: Number(port),
      calledAeTitle: 'RAYLOG',
      callingAeTitle: 'CT1',
      tls: dicomTls,
    }
    expect(await storeFile(join(folder, 'a.dcm'), target)).toMatchObject({ ok: true })
    expect(stage.published).toHaveLength(1)
    const stranger = { ...target, tls: { ...dicomTls, caFile: elsewhere.caFile } }
    await expect(storeFile(join(folder, 'a.dcm'), stranger)).rejects.toMatchObject({ code: 'peer-unavailable' })
  })

  it.each(['+py', '+px', '+pz'])(
    'is spoken to storescp, which lets in whom its CA knows, profile %s',
    async profile => {
      const port = await freePort()
      const received = join(folder, `received${profile}`)
      await mkdir(received)
      const [pacs, raylog] = [hospital.issue({ name: 'localhost' }), hospital.issue({ name: 'raylog' })]
      const args = [...shows(pacs), ...trusts(hospital), profile, '-od', received, String(port)]
      const child: ChildProcess = spawn('storescp', args, { stdio: 'ignore', env })
      try {
        const file = join(folder, 'a.dcm')
        const target = { host: 'localhost', port, calledAeTitle: 'PACS', callingAeTitle: 'RAYLOG' }
        const dicomTls = { ...raylog, caFile: hospital.caFile, checkHostName: true }
        const sent = await until('storescp listens', () =>
          storeFile(file, { ...target, tls: dicomTls }).catch(() => undefined),
        )
        expect(sent).toMatchObject({ ok: true })
        expect(await readdir(received)).toHaveLength(1)
        const stranger = { ...elsewhere.issue({ name: 'raylog' }), caFile: hospital.caFile, checkHostName: true }
        // With TLS 1.3 a client hears of it after the handshake, which is over for it by then.
        const refused = { code: expect.stringMatching(/^(peer-unavailable|delivery-failed)$/) }
        await expect(storeFile(file, { ...target, tls: stranger })).rejects.toMatchObject(refused)
        expect(await readdir(received)).toHaveLength(1)
      } finally {
        const gone = new Promise(resolve => child.once('exit', resolve))
        if (child.kill('SIGKILL')) await gone
      }
    },
  )
})
