import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../testing.ts'
import { createGetter } from './get.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A server that says this to each request, one write for each piece, and what it was asked. */
async function serving(answers: (readonly (string | Buffer)[])[], server: net.Server = net.createServer()) {
  const asked: string[] = []
  let connections = 0
  const sockets: net.Socket[] = []
  server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket: net.Socket) => {
    connections++
    sockets.push(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('data', async data => {
      asked.push(String(data))
      for (const piece of answers.shift() ?? []) {
        socket.write(piece)
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const getter = createGetter(length => Buffer.alloc(length))
  closing.push(() => {
    getter.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return { getter, url: `http://127.0.0.1:${port}/a/b?c=d`, port, asked, sockets, connections: () => connections }
}

const ok = (body: string, more = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`

describe('a GET', () => {
  it('asks for path and query of the host', async () => {
    const { getter, url, port, asked } = await serving([[ok('x')]])
    await getter.get(url).answer
    expect(asked).toEqual([`GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\n\r\n`])
  })

  it('reads an answer that comes in single bytes, and the next one on the same connection', async () => {
    const { getter, url, connections } = await serving([[...ok('slow')], [ok('fast')], [ok('')]])
    for (const said of ['slow', 'fast', '']) expect(String((await getter.get(url).answer).bytes)).toBe(said)
    expect(connections()).toBe(1)
  })

  it('keeps two bodies that come at once apart', async () => {
    const body = (of: number) => Buffer.alloc(2_000_000, of)
    const head = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n')
    const halves = (of: number) => [head, body(of).subarray(0, 999_999), body(of).subarray(999_999)]
    const { getter, url } = await serving([halves(1), halves(2)])
    const [one, two] = await Promise.all([getter.get(url).answer, getter.get(url).answer])
    expect([one.bytes?.[0], two.bytes?.[0]].sort()).toEqual([1, 2])
    for (const { bytes } of [one, two]) expect(bytes?.equals(body(bytes[0] ?? 0))).toBe(true)
  })

  it('leaves a kept connection alone where it is asked to', async () => {
    const { getter, url, connections } = await serving([[ok('one')], [ok('two')], [ok('three')]])
    for (const anew of [false, true, false]) await getter.get(url, anew).answer
    expect(connections()).toBe(2)
  })

  it('passes over interim answers', async () => {
    const { getter, url } = await serving([[`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('then')}`]])
    expect(String((await getter.get(url).answer).bytes)).toBe('then')
  })

  it.each([
    { what: 'where the server says that it closes', answer: ok('one', 'Connection: close\r\n') },
    { what: 'of HTTP/1.0', answer: ok('one').replace('1.1', '1.0') },
    {
      what: 'on which more came than was said',
      answer: `${ok('one')}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
    },
  ])('does not use a connection again $what', async ({ answer }) => {
    const { getter, url, connections } = await serving([[answer], [ok('two')]])
    expect(String((await getter.get(url).answer).bytes)).toBe('one')
    expect(String((await getter.get(url).answer).bytes)).toBe('two')
    expect(connections()).toBe(2)
  })

  it('does not use a connection again on which the server spoke unasked, or that it ended', async () => {
    const { getter, url, sockets, connections } = await serving([[ok('one')], [ok('two')], [ok('three')]])
    await getter.get(url).answer
    for (const end of [() => sockets[0]?.write(ok('evil')), () => sockets[1]?.end()]) {
      const gone = new Promise(resolve => sockets.at(-1)?.once('close', resolve))
      end()
      await gone
      expect(String((await getter.get(url).answer).bytes)).toMatch(/two|three/)
    }
    expect(connections()).toBe(3)
  })

  it.each([
    { what: 'is not HTTP', answer: 'SSH-2.0-OpenSSH_9.2\r\n\r\n', said: 'does not speak HTTP/1.1' },
    { what: 'has no end of its head', answer: `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`, said: 'without an end' },
    { what: 'has no length', answer: 'HTTP/1.1 200 OK\r\n\r\nbody', said: 'without a length' },
    { what: 'has a length below 0', answer: 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', said: 'without a length' },
    {
      what: 'comes in chunks',
      answer: 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      said: 'without a length',
    },
  ])('refuses an answer that $what', async ({ answer, said }) => {
    const { getter, url } = await serving([[answer]])
    await expect(getter.get(url).answer).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringContaining(said),
    })
  })

  it('has a status, and no body, of what is not there', async () => {
    const { getter, url } = await serving([['HTTP/1.1 404 Not Found\r\ncontent-length: 8\r\n\r\n<Error/>']])
    expect(await getter.get(url).answer).toEqual({ status: 404 })
  })

  it('speaks TLS, to those whose certificate is trusted alone', async () => {
    using folder = temporaryFolder()
    const [key, cert] = [join(folder.path, 'key.pem'), join(folder.path, 'cert.pem')]
    const subject = ['-subj', '/CN=store', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject]
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    const pem = { key: readFileSync(key), cert: readFileSync(cert) }
    const body = 'z'.repeat(600_000)
    const { getter, port, connections } = await serving([[ok(body)], [ok('again')]], tls.createServer(pem))
    const url = (host: string) => `https://${host}:${port}/`
    await expect(getter.get(url('127.0.0.1')).answer).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    const before = tls.getCACertificates('default')
    tls.setDefaultCACertificates([...before, pem.cert.toString()])
    closing.push(() => tls.setDefaultCACertificates(before))
    expect(String((await getter.get(url('127.0.0.1')).answer).bytes)).toBe(body)
    expect(String((await getter.get(url('127.0.0.1')).answer).bytes)).toBe('again')
    expect(connections()).toBeLessThanOrEqual(2)
  })
})
