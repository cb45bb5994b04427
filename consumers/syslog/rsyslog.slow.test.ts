/** A receiver that nobody here wrote, and the schema of the standard. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type AuditAction, type Audited, auditActions, auditEntry } from '../../schemas/audit.ts'
import { topics } from '../../schemas/topics.ts'
import { makeAuthority } from '../../tests/harness/certificates.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { until } from '../../tests/harness/until.ts'
import { auditXml } from './message.ts'
import { syslog } from './stage.ts'

const has = (...tools: string[]) =>
  tools.every(tool => ['/usr/bin', '/usr/sbin'].some(at => existsSync(join(at, tool))))
const openssl = '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so'
const servers = has('rsyslogd') && existsSync(openssl)

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-syslog-'))
})
afterAll(() => rm(folder, { recursive: true }))

const said: Audited = {
  action: 'instances-received',
  actor: 'CT "1" <é>',
  object: 'st_1',
  outcome: 'success',
  address: '10.0.0.5',
  detail: {
    ...{ study: '1.2.3', patient: 'pt_abc', sopClasses: '1.2.840.10008.5.1.4.1.1.2=3', peer: 'ct', called: 'RAYLOG' },
    ...{ reason: 'because', query: 'STUDY PatientID StudyDate', destination: 'PACS', count: '3', stages: 'dimse' },
    ...{ destinationAddress: 'pacs.example.org', report: 'sr' },
  },
}
const source = { site: 'main', id: 'raylog', host: hostname(), processId: 1 }

describe.skipIf(!has('xmllint'))(has('xmllint') ? 'the XML' : 'the XML (skipped: xmllint is not installed)', () => {
  it('is valid by the schema of PS3.15 A.5.1, for each action, of others and of this process, with and without details', async () => {
    const schema = join(import.meta.dirname, 'fixtures/audit-message.rng')
    const files: string[] = []
    for (const action of Object.keys(auditActions) as AuditAction[]) {
      for (const detail of [said.detail ?? {}, {}]) {
        for (const address of [said.address, '']) {
          const file = join(folder, `${files.length}.xml`)
          await writeFile(file, auditXml(auditEntry({ ...said, action, address, detail }, 1, action), source))
          files.push(file)
        }
      }
    }
    execFileSync('xmllint', ['--noout', '--relaxng', schema, ...files], { stdio: 'pipe' })
    await writeFile(join(folder, 'wrong.xml'), '<AuditMessage/>')
    expect(() =>
      execFileSync('xmllint', ['--noout', '--relaxng', schema, join(folder, 'wrong.xml')], { stdio: 'pipe' }),
    ).toThrow()
  })
})

let running: ChildProcess | undefined
async function stop(): Promise<void> {
  const child = running
  running = undefined
  if (!child || child.exitCode !== null) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

/** Writes each message on a line of its own into the file. */
async function start(name: string, port: number, input: string): Promise<string> {
  const out = join(folder, `${name}.log`)
  const conf = join(folder, `${name}.conf`)
  await writeFile(
    conf,
    `${input.replaceAll('PORT', String(port))}
template(name="raw" type="string" string="%pri% %protocol-version% %app-name% %msgid%%msg%\\n")
action(type="omfile" file="${out}" template="raw")
`,
  )
  running = spawn('rsyslogd', ['-n', '-f', conf, '-i', join(folder, `${name}.pid`)], { stdio: 'ignore' })
  return out
}

describe.skipIf(!servers)(servers ? 'rsyslog' : 'rsyslog (skipped: rsyslog, rsyslog-openssl not installed)', () => {
  afterEach(stop)

  it.each(['udp', 'tcp', 'tls'] as const)('takes the entries over %s', async protocol => {
    const authority = makeAuthority(join(folder, protocol))
    const { caFile } = authority
    const server = authority.issue({ name: 'localhost' })
    const port = await freePort()
    const tls = `global(DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="${caFile}"
  DefaultNetstreamDriverCertFile="${server.certFile}" DefaultNetstreamDriverKeyFile="${server.keyFile}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="PORT")`
    const inputs = {
      udp: 'module(load="imudp")\ninput(type="imudp" port="PORT" address="127.0.0.1")',
      tcp: 'module(load="imtcp")\ninput(type="imtcp" port="PORT")',
      tls,
    }
    const out = await start(protocol, port, inputs[protocol])
    const settings = { host: 'localhost', port, protocol, caFile }
    const open = await openForTest(
      syslog,
      {},
      { settings: protocol === 'udp' ? { ...settings, host: '127.0.0.1' } : settings },
    )
    const entries = Array.from({ length: 40 }, (_, i) => auditEntry({ ...said, actor: `CT${i}` }, i, String(i)))
    // Over UDP one may be lost, and they come in any order.
    await until('the entries are there', async () => {
      const outcomes = await Promise.allSettled(entries.map(entry => open.hand(topics.audit, entry)))
      const text = existsSync(out) ? readFileSync(out, 'utf8') : ''
      const all = entries.every(({ actor }) => text.includes(`UserID="${actor}"`))
      return outcomes.every(({ status }) => status === 'fulfilled') && all
    })
    const lines = readFileSync(out, 'utf8').trim().split('\n')
    expect(lines[0]).toMatch(/^85 1 raylog DICOM\+RFC3881.?\uFEFF?<AuditMessage>.*<\/AuditMessage>$/)
    await open.close()
  })
})
