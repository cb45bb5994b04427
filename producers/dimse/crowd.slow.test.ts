/** Callers that are too many: of connections that say nothing, and of associations. DCMTK is the neighbour. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { makeAuthority } from '../../tests/harness/certificates.ts'
import { associate } from '../../tests/harness/dicom-peer.ts'
import { type OpenProducer, openProducer } from '../../tests/harness/producer.ts'
import { titleOf } from '../../tests/harness/tools.ts'
import { until } from '../../tests/harness/until.ts'
import { dimse } from './stage.ts'

const run = promisify(execFile)
const env = { ...process.env, TCP_NODELAY: '1' }
const tools = titleOf('DCMTK beside a crowd', ['echoscu'])

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(settings: object, network: { dicomTls?: object } = {}): Promise<OpenProducer> {
  const stage = await openProducer(dimse, { settings: { port: 0, ...settings }, network })
  closing.push(() => stage.close())
  return stage
}

/** Connections that say nothing. Resolves when the port has taken each, or closed it. */
async function silent(port: number, many: number, localAddress: string): Promise<{ open(): number }> {
  const sockets = await Promise.all(
    Array.from(
      { length: many },
      () =>
        new Promise<Socket>(resolve => {
          const socket = connect({ host: '127.0.0.1', port, localAddress })
          socket.on('connect', () => resolve(socket))
          socket.on('error', () => socket.destroy())
          socket.on('close', () => resolve(socket))
          socket.resume()
        }),
    ),
  )
  closing.push(() => sockets.forEach(socket => void socket.destroy()))
  return { open: () => sockets.filter(({ closed, destroyed }) => !closed && !destroyed).length }
}

const dropped = async (stage: OpenProducer) =>
  (await stage.stores.metrics.connectionsDropped.get()).values.reduce((sum, { value }) => sum + value, 0)

describe.skipIf(tools.missing.length > 0)(tools.title, { timeout: 120_000 }, () => {
  it.each(['plain', 'TLS'])('associates while 400 silent connections of another address wait, %s', async how => {
    const folder = await mkdtemp(join(tmpdir(), 'raylog-crowd-'))
    closing.push(() => rm(folder, { recursive: true }))
    const hospital = makeAuthority(folder)
    const [ours, theirs] = [hospital.issue({ name: 'localhost' }), hospital.issue({ name: 'ct1' })]
    const secure = how === 'TLS'
    // So long that none of them is given up meanwhile.
    const stage = await start(
      { artimMs: 600_000, ...(secure && { plain: false, tls: { port: 0 } }) },
      { dicomTls: { ...ours, caFile: hospital.caFile } },
    )
    const port = Number(stage.endpoints[secure ? 'dicomTls' : 'dicom']?.port)
    const crowd = await silent(port, 400, '127.0.0.2')
    await until('those beyond the limit are closed', () => crowd.open() === 64)
    expect(await dropped(stage)).toBe(336)
    const tls = secure ? ['+tls', theirs.keyFile, theirs.certFile, '+cf', hospital.caFile] : []
    await run('echoscu', [...tls, '-aec', 'RAYLOG', 'localhost', String(port)], { env })
    expect(crowd.open()).toBe(64)

    const told = () => stage.audited.filter(({ action }) => action === 'association-rejected')
    expect(told()).toMatchObject([
      {
        actor: '127.0.0.2',
        address: '127.0.0.2',
        outcome: 'failure',
        detail: { reason: expect.stringContaining('too many') },
      },
    ])
    expect(stage.logs().match(/connections are closed before they associate/g)).toHaveLength(1)
    await stage.drain().catch(() => undefined)
    expect(told().map(({ detail }) => Number(detail.count ?? 1))).toEqual([1, 335])
  })

  it('has its place while another caller has all that one may have', async () => {
    const stage = await start({ maxAssociationsPerCaller: 3, maxAssociations: 10 })
    const port = Number(stage.endpoints.dicom?.port)
    const echo = (calling: string) =>
      run('echoscu', ['-aet', calling, '-aec', 'RAYLOG', '127.0.0.1', String(port)], { env })
    const hold = (title: string, address: string) => associate(port, { calling: title }, address)
    const elsewhere = await Promise.all(['A', 'B', 'C'].map(title => hold(title, '127.0.0.2')))
    await expect(hold('D', '127.0.0.2')).rejects.toThrow('not accepted')
    await echo('CROWD')
    const held = await Promise.all([1, 2, 3].map(n => hold(`CROWD${n}`, '127.0.0.1')))
    // Another name is no other caller.
    for (const title of ['CROWD1', 'OTHER']) await expect(echo(title)).rejects.toThrow(/Local Limit Exceeded/)
    for (const one of elsewhere) one[Symbol.dispose]()
    for (const one of held) one[Symbol.dispose]()
    await until('a place is free', () =>
      echo('CROWD').then(
        () => true,
        () => false,
      ),
    )
  })
})
