/**
 * Messages to a syslog server. Syslog has no answers: over TCP and TLS a batch counts as delivered when the server, told that no
 * more comes, has closed the connection without an error, so that its side has had every byte. Over UDP nobody knows.
 */
import { createSocket } from 'node:dgram'
import { connect as connectPlain, isIPv6, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { RaylogError } from '../../schemas/errors.ts'

export interface SyslogServer {
  host: string
  port: number
  protocol: 'tls' | 'tcp' | 'udp'
  /** For a batch, from the connection to its end, ms. */
  timeoutMs: number
  tls?: { ca?: Buffer | undefined; cert?: Buffer | undefined; key?: Buffer | undefined } | undefined
}

/** RFC 5425 4.3, RFC 6587 3.4.1: length in bytes, a space, the message. */
const frame = (message: Buffer) => Buffer.concat([Buffer.from(`${message.length} `), message])

/** @throws RaylogError peer-unavailable, where some or all may have arrived: they are to be sent again */
export async function deliver(server: SyslogServer, messages: readonly Buffer[]): Promise<void> {
  try {
    if (server.protocol === 'udp') await sendDatagrams(server, messages)
    else await sendStream(server, Buffer.concat(messages.map(frame)))
  } catch (cause) {
    const reason = cause instanceof Error ? ('code' in cause ? String(cause.code) : cause.message) : String(cause)
    throw new RaylogError('peer-unavailable', `the syslog server: ${reason}`, { cause })
  }
}

function open({ host, port, protocol, tls }: SyslogServer): Socket {
  if (protocol === 'tcp') return connectPlain({ host, port })
  return connectTls({
    ...{ host, port, minVersion: 'TLSv1.2' },
    ...(tls?.ca ? { ca: tls.ca } : {}),
    ...(tls?.cert ? { cert: tls.cert } : {}),
    ...(tls?.key ? { key: tls.key } : {}),
  })
}

function sendStream(server: SyslogServer, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = open(server)
  let ended = false
  const timer = setTimeout(() => {
    socket.destroy(new Error('no end of the connection in time'))
  }, server.timeoutMs)
  socket.once(server.protocol === 'tls' ? 'secureConnect' : 'connect', () => {
    socket.end(bytes, () => {
      ended = true
    })
  })
  socket.on('error', reject)
  socket.on('close', () => {
    clearTimeout(timer)
    if (ended) resolve()
    else reject(new Error('the connection was closed before all was sent'))
  })
  // What it says is nothing to us, but its end is only seen when all of it is read.
  socket.resume()
  return promise
}

/** RFC 5426: a message a datagram. */
async function sendDatagrams({ host, port }: SyslogServer, messages: readonly Buffer[]): Promise<void> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  try {
    for (const message of messages) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      socket.send(message, port, host, error => (error ? reject(error) : resolve()))
      await promise
    }
  } finally {
    socket.close()
  }
}
