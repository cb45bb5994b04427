/**
 * HL7 version 2 over MLLP (HL7 Transport Specification: MLLP, Release 1): <VT> message <FS><CR>, and an acknowledgement framed alike.
 * Messages are bytes as they are: their character set is whoever's who wrote them.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import { RaylogError } from '../schemas/errors.ts'

const startBlock = 0x0b
const end = Buffer.from([0x1c, 0x0d])
/** An acknowledgement is a few lines. Bytes. */
const mostAckBytes = 64 * 1024

export interface MllpServer {
  host: string
  port: number
  /** Null: plain. */
  tls: SecureContextOptions | null
  /** For the connection, and for the acknowledgement, ms. */
  timeoutMs: number
  /** A connection that is not used for so long is closed, ms. */
  idleMs: number
}

/** Of MSA-1: accepted, error (it may pass), rejected; CA, CE and CR in the enhanced mode (HL7 2.5.1 chapter 2.9). */
export type AckCode = 'AA' | 'AE' | 'AR' | 'CA' | 'CE' | 'CR'

export interface Ack {
  code: AckCode
  /** ERR-3.1, table 0357; empty where there is none. MSA-3 and ERR-8 are texts, which may hold names: they are not read. */
  error: string
}

/** No acknowledgement came, or not one of this message. */
export class NotAcknowledged extends RaylogError {
  /** Some of it was sent: it may have arrived. */
  readonly sent: boolean
  constructor(message: string, sent: boolean, options?: ErrorOptions) {
    super('peer-unavailable', message, options)
    this.sent = sent
  }
}

export interface MllpClient {
  /**
   * Sends a message over a connection of its own or one that is free, and waits for its acknowledgement.
   * @throws NotAcknowledged; RaylogError bad-record for what is no HL7 message; the signal's reason when aborted
   */
  send(message: Buffer, signal: AbortSignal): Promise<Ack>
  /** Closes what is free at once; a connection on which a message is under way, when that has its answer. */
  close(): void
}

/** MSH-10 (message control id). @throws RaylogError bad-record */
export function controlIdOf(message: Buffer): string {
  const fields = fieldsOf(message.toString('latin1').split(/[\r\n]/, 1)[0] ?? '')
  const id = fields[0] === 'MSH' ? fields[9] : undefined
  if (!id) throw new RaylogError('bad-record', 'not an HL7 message with a control id')
  return id
}

/** The separator of a message's first segment is its fourth character (MSH-1); MSH-2 stands at index 1. */
const fieldsOf = (segment: string, separator = segment[3] ?? '|') => segment.split(separator)

export function frame(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([startBlock]), message, end])
}

/** @returns undefined where it acknowledges something else, or is no acknowledgement */
export function readAck(message: Buffer, controlId: string): Ack | undefined {
  const segments = message.toString('latin1').split(/[\r\n]+/)
  const separator = segments[0]?.startsWith('MSH') ? segments[0][3] : undefined
  if (separator === undefined) return undefined
  const find = (name: string) => segments.find(segment => segment.startsWith(name + separator))?.split(separator)
  const [, code = '', of = ''] = find('MSA') ?? []
  if (!/^[AC][AER]$/.test(code) || of.trim() !== controlId) return undefined
  const error = (find('ERR')?.[3] ?? '').split('^')[0] ?? ''
  return { code: code as AckCode, error: /^\d{1,5}$/.test(error) ? error : '' }
}

export function openMllp(server: MllpServer): MllpClient {
  const idle: Line[] = []
  let closed = false

  async function line(signal: AbortSignal): Promise<Line> {
    for (let free = idle.pop(); free; free = idle.pop()) if (free.usable) return free
    return await dial(server, signal)
  }

  return {
    async send(message, signal) {
      const controlId = controlIdOf(message)
      const taken = await line(signal)
      try {
        const answer = await taken.exchange(frame(message), signal)
        const ack = readAck(answer, controlId)
        if (!ack) throw new NotAcknowledged('the answer is not an acknowledgement of this message', true)
        if (closed) taken.close()
        else {
          taken.rest(server.idleMs)
          idle.push(taken)
        }
        return ack
      } catch (thrown) {
        taken.close()
        throw thrown
      }
    },
    close() {
      closed = true
      for (const each of idle.splice(0)) each.close()
    },
  }
}

interface Line {
  readonly usable: boolean
  /** One message, and what is framed in the answer. @throws NotAcknowledged; the signal's reason */
  exchange(bytes: Buffer, signal: AbortSignal): Promise<Buffer>
  /** Closes itself unless it is used within so long. */
  rest(ms: number): void
  close(): void
}

const reasonOf = (error: unknown) =>
  error instanceof Error ? ('code' in error ? String(error.code) : error.message) : String(error)

async function dial(server: MllpServer, signal: AbortSignal): Promise<Line> {
  const { host, port, tls, timeoutMs } = server
  const at = { host, port }
  const socket = tls
    ? connectTls({ ...at, minVersion: 'TLSv1.2', ...tls, ...(isIP(host) === 0 ? { servername: host } : {}) })
    : connectPlain(at)
  socket.setNoDelay(true)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error: Error) =>
    reject(new NotAcknowledged(`no connection (${reasonOf(error)})`, false, { cause: error }))
  const timer = setTimeout(() => failed(new Error('not in time')), timeoutMs)
  const aborted = () => reject(signal.reason)
  socket.once(tls ? 'secureConnect' : 'connect', () => resolve()).once('error', failed)
  signal.addEventListener('abort', aborted, { once: true })
  try {
    signal.throwIfAborted()
    await promise
    return lineOf(socket, timeoutMs)
  } catch (thrown) {
    socket.on('error', () => undefined)
    socket.destroy()
    throw thrown
  } finally {
    clearTimeout(timer)
    socket.off('error', failed)
    signal.removeEventListener('abort', aborted)
  }
}

function lineOf(socket: Socket, timeoutMs: number): Line {
  let held = Buffer.alloc(0)
  let waiting: PromiseWithResolvers<Buffer> | undefined
  let idleTimer: NodeJS.Timeout | undefined
  let usable = true
  const ended = (why: string) => {
    usable = false
    socket.destroy()
    waiting?.reject(new NotAcknowledged(why, true))
  }
  socket.on('data', (chunk: Buffer) => {
    // Nobody asked: what comes here would be taken for the answer to the next message.
    if (!waiting) return ended('an answer to nothing')
    held = Buffer.concat([held, chunk])
    if (held.length > mostAckBytes) return ended('an answer that is too long')
    const stop = held.indexOf(end)
    if (stop < 0) return
    const start = held.indexOf(startBlock)
    const answer = held.subarray(start + 1, stop)
    if (held.length > stop + end.length) usable = false
    held = Buffer.alloc(0)
    waiting.resolve(Buffer.from(answer))
  })
  socket.on('error', error => ended(reasonOf(error)))
  socket.on('close', () => ended('the connection was closed without an acknowledgement'))
  socket.on('end', () => ended('the connection was closed without an acknowledgement'))

  return {
    get usable() {
      return usable
    },
    async exchange(bytes, signal) {
      clearTimeout(idleTimer)
      waiting = Promise.withResolvers<Buffer>()
      const { promise, reject } = waiting
      const timer = setTimeout(() => reject(new NotAcknowledged('no acknowledgement in time', true)), timeoutMs)
      const aborted = () => reject(signal.reason)
      signal.addEventListener('abort', aborted, { once: true })
      try {
        signal.throwIfAborted()
        socket.write(bytes)
        return await promise
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', aborted)
        waiting = undefined
      }
    },
    rest(ms) {
      idleTimer = setTimeout(() => ended('not used'), ms)
      idleTimer.unref()
    },
    close() {
      clearTimeout(idleTimer)
      ended('closed')
    },
  }
}
