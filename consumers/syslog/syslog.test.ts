import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Audited, auditEntry } from '../../schemas/audit.ts'
import { topics } from '../../schemas/topics.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { until } from '../../tests/harness/until.ts'
import { auditXml, syslogMessage } from './message.ts'
import { syslog } from './stage.ts'

const source = { site: 'main', id: 'raylog', host: 'node-1', processId: 7 }
const received: Audited = {
  action: 'instances-received',
  actor: 'CT1',
  object: 'st_1',
  outcome: 'success',
  address: '10.0.0.5',
  detail: { study: '1.2.3', patient: 'pt_abc', sopClasses: '1.2.840.10008.5.1.4.1.1.2=3', peer: 'ct' },
}
const entryOf = (what: Partial<Audited> = {}, key = 'k') =>
  auditEntry({ ...received, ...what }, Date.UTC(2026, 0, 2), key)

const closing: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('an audit message', () => {
  it('says transfer, source, destination, study and patient in the codes of PS3.15', () => {
    const xml = auditXml(entryOf(), source)
    expect(xml).toContain(
      '<EventID csd-code="110104" codeSystemName="DCM" originalText="DICOM Instances Transferred"/>',
    )
    expect(xml).toMatch(/UserID="CT1" UserIsRequestor="true" NetworkAccessPointID="10.0.0.5".*?csd-code="110153"/)
    expect(xml).toMatch(/UserID="raylog" UserIsRequestor="false".*?csd-code="110152"/)
    expect(xml).toContain('<SOPClass UID="1.2.840.10008.5.1.4.1.1.2" NumberOfInstances="3"/>')
    expect(xml).toMatch(/ParticipantObjectID="pt_abc" ParticipantObjectTypeCode="1" ParticipantObjectTypeCodeRole="1"/)
  })

  it('of what this process asks or sends has it as the source, and whom it goes to as the destination', () => {
    const detail = { destination: 'PACS', destinationAddress: '10.0.0.7', study: '1.2.3', query: 'STUDY PatientID' }
    for (const action of ['query', 'instances-sending', 'instances-sent', 'export'] as const) {
      const xml = auditXml(entryOf({ action, actor: 'RAYLOG', address: '', detail }), source)
      expect(xml).toMatch(/UserID="RAYLOG" UserIsRequestor="true" NetworkAccessPointID="node-1"[^/]*csd-code="110153"/)
      expect(xml).toMatch(/UserID="PACS" UserIsRequestor="false" NetworkAccessPointID="10.0.0.7"[^/]*csd-code="110152"/)
    }
    const asked = auditXml(entryOf({ action: 'query' }), source)
    expect(asked).toMatch(/UserID="CT1"[^/]*csd-code="110153".*?UserID="raylog"[^/]*csd-code="110152"/)
    const moved = auditXml(entryOf({ action: 'instances-sent', detail: { destination: 'PACS' } }), source)
    expect(moved).toMatch(/UserID="CT1"[^/]*csd-code="110150".*?UserID="raylog"[^/]*csd-code="110153"/)
  })

  it('stays XML whatever a stranger calls itself', () => {
    const xml = auditXml(entryOf({ actor: '<"&\u0000\u0007\ud800é', action: 'association-rejected' }), source)
    expect(xml).toContain('UserID="&lt;&quot;&amp;??�é"')
  })

  it('is one message of RFC 5424 with its length in bytes, failures as warnings', () => {
    expect(syslogMessage(entryOf(), source).toString('utf8')).toMatch(
      /^<85>1 2026-01-02T00:00:00\.000Z node-1 raylog 7 DICOM\+RFC3881 - \uFEFF<AuditMessage>.*<\/AuditMessage>$/,
    )
    expect(syslogMessage(entryOf({ outcome: 'failure' }), source).toString('utf8')).toMatch(/^<84>1 /)
  })
})

interface Server {
  port: number
  messages: string[]
}

/** Takes frames by their length, as RFC 6587 3.4.1 has them. */
async function tcpServer(port = 0, serve: (socket: Socket) => void = () => undefined): Promise<Server> {
  const messages: string[] = []
  const server = createServer(socket => {
    let held = Buffer.alloc(0)
    serve(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      held = Buffer.concat([held, chunk])
      for (;;) {
        const space = held.indexOf(' ')
        const length = space < 0 ? Number.NaN : Number(held.subarray(0, space).toString())
        if (!(held.length >= space + 1 + length)) return
        messages.push(held.subarray(space + 1, space + 1 + length).toString('utf8'))
        held = held.subarray(space + 1 + length)
      }
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => new Promise(resolve => server.close(resolve)))
  return { port: (server.address() as AddressInfo).port, messages }
}

async function openSyslog(settings: object) {
  const open = await openForTest(syslog, {}, { settings: { host: '127.0.0.1', protocol: 'tcp', ...settings } })
  closing.push(open.close)
  return open
}

describe('the syslog stage', () => {
  it('delivers what is handed to it at once over few connections, each message whole', async () => {
    let connections = 0
    const server = await tcpServer(0, () => connections++)
    const open = await openSyslog({ port: server.port })
    const entries = Array.from({ length: 100 }, (_, i) => entryOf({ actor: `CT${i} é` }, String(i)))
    await Promise.all(entries.map(entry => open.hand(topics.audit, entry)))
    const actors = server.messages.map(message => /UserID="(CT.*?)"/.exec(message)?.[1])
    expect(actors.toSorted()).toEqual(Array.from({ length: 100 }, (_, i) => `CT${i} é`).toSorted())
    expect(connections).toBeLessThan(10)
  })

  it('says that an entry is not delivered while the server is away, so that it is tried again', async () => {
    const server = await tcpServer(await freePort())
    const open = await openSyslog({ port: server.port })
    await closing.shift()?.()
    await expect(open.hand(topics.audit, entryOf())).rejects.toMatchObject({ code: 'peer-unavailable' })
    const back = await tcpServer(server.port)
    await open.hand(topics.audit, entryOf())
    expect(back.messages).toHaveLength(1)
  })

  it('does not count as delivered what a server broke off, or kept waiting', async () => {
    const rude = await tcpServer(0, socket => socket.resetAndDestroy())
    await expect((await openSyslog({ port: rude.port })).hand(topics.audit, entryOf())).rejects.toMatchObject({
      code: 'peer-unavailable',
    })
    const sockets: Socket[] = []
    const silent = await tcpServer(0, socket => {
      sockets.push(socket.pause())
      socket.removeAllListeners('data')
    })
    closing.push(() => sockets.forEach(socket => void socket.destroy()))
    const open = await openSyslog({ port: silent.port, timeoutMs: 100 })
    await expect(open.hand(topics.audit, entryOf())).rejects.toMatchObject({ code: 'peer-unavailable' })
  })

  it('sends each as a datagram over UDP', async () => {
    const got: string[] = []
    const socket = createSocket('udp4').on('message', message => got.push(message.toString('utf8')))
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    closing.push(() => new Promise<void>(resolve => socket.close(() => resolve())))
    const open = await openSyslog({ port: socket.address().port, protocol: 'udp' })
    await open.hand(topics.audit, entryOf())
    await until('the datagram', () => got.length === 1)
    expect(got[0]).toMatch(/^<85>1 .*<\/AuditMessage>$/)
  })

  it('takes entries and does nothing where no server is set', async () => {
    const open = await openForTest(syslog, {})
    await open.hand(topics.audit, entryOf())
    await open.close()
  })
})
