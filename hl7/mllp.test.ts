import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { makeAuthority } from '../tests/harness/certificates.ts'
import { until } from '../tests/harness/until.ts'
import { controlIdOf, frame, type MllpClient, type MllpServer, openMllp, readAck } from './mllp.ts'

const message = (id: string) =>
  Buffer.from(`MSH|^~\\&|RAYLOG|main|RIS|HOSP|20260101||ORU^R01|${id}|P|2.5.1|||||UNICODE UTF-8\rPID|1||Ж\r`)
const ackOf = (id: string, code = 'AA', err = '') =>
  Buffer.from(`MSH|^~\\&|RIS|HOSP|RAYLOG|main|20260101||ACK|1|P|2.5.1\rMSA|${code}|${id}|somebody's name\r${err}`)
const never = new AbortController().signal

const cleanup: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close()
})

interface Receiver {
  port: number
  got: Buffer[]
  connections: () => number
  sockets: Socket[]
}

/** Answers each message as told. */
async function receiver(
  answer: (id: string, socket: Socket) => void,
  make: (listener: (socket: Socket) => void) => Server = createServer,
): Promise<Receiver> {
  const got: Buffer[] = []
  const sockets: Socket[] = []
  const server = make(socket => {
    sockets.push(socket)
    let held = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      for (let at = held.indexOf('\x1c\r'); at >= 0; at = held.indexOf('\x1c\r')) {
        const one = held.subarray(1, at)
        got.push(one)
        held = held.subarray(at + 2)
        answer(controlIdOf(one), socket)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, got, sockets, connections: () => sockets.length }
}

function client(port: number, more: Partial<MllpServer> = {}): MllpClient {
  const opened = openMllp({ host: '127.0.0.1', port, tls: null, timeoutMs: 5_000, idleMs: 60_000, ...more })
  cleanup.push(() => opened.close())
  return opened
}

describe('MLLP', () => {
  it('sends a message byte for byte and reads its acknowledgement, in whatever pieces it comes', async () => {
    const there = await receiver((id, socket) => {
      const bytes = frame(ackOf(id))
      socket.write(bytes.subarray(0, 5))
      setImmediate(() => socket.write(bytes.subarray(5)))
    })
    const mllp = client(there.port)
    expect(await mllp.send(message('A1'), never)).toEqual({ code: 'AA', error: '' })
    expect(await mllp.send(message('A2'), never)).toEqual({ code: 'AA', error: '' })
    expect(there.got).toEqual([message('A1'), message('A2')])
    expect(there.connections()).toBe(1)
  })

  it('tells error and rejection apart, with the code and never the text', async () => {
    const there = await receiver((id, socket) =>
      socket.write(
        frame(id === 'E' ? ackOf(id, 'AE', 'ERR|||207^Application error|E||||Doe, Jane\r') : ackOf(id, 'AR')),
      ),
    )
    const mllp = client(there.port)
    expect(await mllp.send(message('E'), never)).toEqual({ code: 'AE', error: '207' })
    expect(await mllp.send(message('R'), never)).toEqual({ code: 'AR', error: '' })
  })

  it('takes no acknowledgement of another message for its own', async () => {
    const there = await receiver((_, socket) => socket.write(frame(ackOf('other'))))
    await expect(client(there.port).send(message('A1'), never)).rejects.toMatchObject({ sent: true })
    expect(readAck(ackOf('A1'), 'A')).toBeUndefined()
    expect(readAck(Buffer.from('hello'), 'A')).toBeUndefined()
    expect(readAck(message('A1'), 'A1')).toBeUndefined()
  })

  it('says whether the message may have arrived where no answer comes', async () => {
    const closes = await receiver((_, socket) => socket.destroy())
    await expect(client(closes.port).send(message('A1'), never)).rejects.toMatchObject({
      ...{ code: 'peer-unavailable', sent: true },
    })
    const silent = await receiver(() => undefined)
    await expect(client(silent.port, { timeoutMs: 1_000 }).send(message('A1'), never)).rejects.toMatchObject({
      sent: true,
    })
    await expect(client(1).send(message('A1'), never)).rejects.toMatchObject({ sent: false })
  })

  it('opens another connection where the receiver closed the one that was free', async () => {
    const there = await receiver((id, socket) => socket.write(frame(ackOf(id))))
    const mllp = client(there.port)
    await mllp.send(message('A1'), never)
    there.sockets[0]?.end()
    await until('it is closed', () => there.sockets[0]?.destroyed)
    await mllp.send(message('A2'), never)
    expect(there.connections()).toBe(2)
  })

  it('keeps no connection open that comes free after it was closed', async () => {
    let answer: (() => void) | undefined
    const there = await receiver((id, socket) => {
      answer = () => socket.write(frame(ackOf(id)))
    })
    const mllp = client(there.port)
    const sending = mllp.send(message('A1'), never)
    await until('it is asked', () => answer)
    mllp.close()
    answer?.()
    expect(await sending).toEqual({ code: 'AA', error: '' })
    await until('it is closed', () => there.sockets[0]?.destroyed)
  })

  it('sends several at once over connections of their own', async () => {
    const held: (() => void)[] = []
    const there = await receiver((id, socket) => {
      held.push(() => socket.write(frame(ackOf(id))))
      if (held.length === 3) for (const answer of held) answer()
    })
    const mllp = client(there.port)
    await Promise.all(['A1', 'A2', 'A3'].map(id => mllp.send(message(id), never)))
    expect(there.connections()).toBe(3)
  })

  it('is ended by its signal, and refuses what is no message', async () => {
    const silent = await receiver(() => undefined)
    const stop = new AbortController()
    const sending = client(silent.port).send(message('A1'), stop.signal)
    await until('it has it', () => silent.got.length === 1)
    stop.abort(new Error('stopping'))
    await expect(sending).rejects.toThrow('stopping')
    await expect(client(silent.port).send(Buffer.from('PID|1'), never)).rejects.toMatchObject({ code: 'bad-record' })
  })

  it('goes over TLS, where both show a certificate of the right authority, and nowhere else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'raylog-mllp-'))
    cleanup.push(() => rm(folder, { recursive: true }))
    const ours = makeAuthority(join(folder, 'ours'))
    const other = makeAuthority(join(folder, 'other'))
    const read = ({ certFile, keyFile }: { certFile: string; keyFile: string }) => ({
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
    })
    const [server, us] = [read(ours.issue({ name: 'ris' })), read(ours.issue({ name: 'raylog' }))]
    const ca = readFileSync(ours.caFile)
    const there = await receiver(
      (id, socket) => socket.write(frame(ackOf(id))),
      listener => createTlsServer({ ...server, ca, requestCert: true, rejectUnauthorized: true }, listener),
    )
    expect(await client(there.port, { tls: { ca, ...us } }).send(message('A1'), never)).toMatchObject({ code: 'AA' })
    const wrong = client(there.port, { tls: { ca: readFileSync(other.caFile), ...us } })
    await expect(wrong.send(message('A2'), never)).rejects.toMatchObject({ sent: false })
    await expect(client(there.port).send(message('A3'), never)).rejects.toMatchObject({ code: 'peer-unavailable' })
    expect(there.got.map(controlIdOf)).toEqual(['A1'])
  })
})
