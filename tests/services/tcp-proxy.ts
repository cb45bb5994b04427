/** A TCP relay between a client and a server on this machine, for faults of the network: cut, frozen, back again. */
import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '../harness/raylog.ts'

export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /** Ends every connection at once and refuses new ones, as a dead host's kernel would. */
  cut(): Promise<void>
  /** Takes connections again, on the same port. */
  restore(): Promise<void>
  /** Keeps connections, and takes new ones, but passes nothing in either direction. */
  freeze(): void
  thaw(): void
  /** Bytes that clients have sent since the start, passed on or not. */
  sent(): number
  /** Cuts when clients have sent so many more bytes. */
  cutAfter(bytes: number): void
  /** Ends, once, the connection on which that many more bytes were sent, and takes new ones. */
  breakAfter(bytes: number): void
  close(): Promise<void>
}

interface Pair {
  client: Socket
  server: Socket | undefined
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  let frozen = false
  let sent = 0
  let limit = Number.POSITIVE_INFINITY
  let breakOnly = false

  const listener = createServer(client => {
    const pair: Pair = { client, server: undefined }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      pair.server?.destroy()
    }
    // An error is followed by 'close'.
    client.on('error', () => undefined).on('close', end)
    client.pause()
    if (!frozen) join(pair, end)
  })

  function join(pair: Pair, end: () => void): void {
    const server = connect(targetPort, '127.0.0.1')
    pair.server = server
    server.on('error', () => undefined).on('close', end)
    relay(pair.client, server, bytes => {
      sent += bytes
      if (sent < limit) return
      limit = Number.POSITIVE_INFINITY
      if (breakOnly) pair.client.resetAndDestroy()
      else void cut()
    })
    relay(server, pair.client, () => undefined)
  }

  function relay(from: Socket, to: Socket, passed: (bytes: number) => void): void {
    from.on('data', (chunk: Buffer) => {
      passed(chunk.length)
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => {
      if (!frozen) from.resume()
    })
    if (!frozen) from.resume()
  }

  async function cut(): Promise<void> {
    const closed = new Promise(done => listener.close(done))
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server?.resetAndDestroy()
    }
    await closed
  }

  const listen = (port: number) =>
    new Promise<void>((done, failed) => {
      listener.once('error', failed).listen(port, '127.0.0.1', () => {
        listener.off('error', failed)
        done()
      })
    })

  const port = await freePort()
  await listen(port)
  return {
    port,
    cut,
    restore: () => listen(port),
    freeze() {
      frozen = true
      for (const { client, server } of pairs) {
        client.pause()
        server?.pause()
      }
    },
    thaw() {
      frozen = false
      for (const pair of pairs) {
        if (pair.server) {
          pair.client.resume()
          pair.server.resume()
        } else {
          // It came while frozen and has not met the server: the client tries again.
          pair.client.resetAndDestroy()
        }
      }
    },
    sent: () => sent,
    cutAfter(bytes) {
      breakOnly = false
      limit = sent + bytes
    },
    breakAfter(bytes) {
      breakOnly = true
      limit = sent + bytes
    },
    close: cut,
    [Symbol.asyncDispose]: cut,
  }
}
