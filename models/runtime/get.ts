/**
 * GET of HTTP/1.1 (RFC 9112) whose body goes from the socket into a buffer of the caller's, through one small buffer that all
 * connections share. `node:http` makes a new buffer for each read: of an image of 512 KB in nine pieces as much garbage as
 * image, which the virtual machine leaves in memory until it is 64 MB.
 */
import net from 'node:net'
import { RaylogError } from '../../schemas/errors.ts'

/** 200 with the body, or another status. */
export type Answer = { status: 200; bytes: Buffer } | { status: number; bytes?: undefined }

export interface Get {
  /** @throws RaylogError store-unavailable for what is no answer; and whatever the network says */
  answer: Promise<Answer>
  destroy(error: Error): void
}

/** Each connection copies out of it what it is given before the next is given anything. */
const shared = Buffer.allocUnsafeSlow(256 * 1024)
const longestHead = 16 * 1024
const endOfHead = '\r\n\r\n'
/** The server closed the connection: as the system says it where it is reset. */
const closed = (message = 'the connection was closed before an answer') =>
  Object.assign(new Error(message), { code: 'ECONNRESET' })

interface Head {
  status: number
  /** Of the body, bytes; undefined where it is not said. */
  length: number | undefined
  /** The server keeps the connection. */
  kept: boolean
}

/** @throws RaylogError store-unavailable */
function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first) ?? []
  if (status === undefined) throw new RaylogError('store-unavailable', 'the object store does not speak HTTP/1.1')
  const fields = new Map(
    lines.map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  const length = fields.get('content-length')
  const isPlain = length !== undefined && /^\d{1,15}$/.test(length) && !fields.has('transfer-encoding')
  const connection = fields.get('connection')?.toLowerCase()
  return {
    status: Number(status),
    length: isPlain ? Number(length) : undefined,
    kept: minor === '1' ? connection !== 'close' : connection === 'keep-alive',
  }
}

interface Events {
  free(connection: Connection): void
  gone(connection: Connection): void
}

class Connection {
  readonly #socket: net.Socket
  readonly #bufferOf: (length: number) => Buffer
  readonly #events: Events
  #asked: PromiseWithResolvers<Answer> | undefined
  /** What has come of the head. */
  #begun = ''
  #head: Head | undefined
  #body: Buffer | undefined
  #filled = 0

  /** @param events it may be asked again, or no more */
  constructor(url: URL, bufferOf: (length: number) => Buffer, events: Events) {
    this.#bufferOf = bufferOf
    this.#events = events
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const onread = {
      buffer: shared,
      callback: (bytes: number) => {
        this.#read(shared.subarray(0, bytes))
        return true
      },
    }
    const to = { host, noDelay: true, keepAlive: true, keepAliveInitialDelay: 1_000, onread }
    // Loaded where it is used, and at once, as an import() would not: it takes 2 MB of each worker.
    this.#socket =
      url.protocol === 'https:'
        ? process
            .getBuiltinModule('node:tls')
            .connect({ ...to, port: Number(url.port || 443), ...(net.isIP(host) === 0 && { servername: host }) })
        : net.connect({ ...to, port: Number(url.port || 80) })
    this.#socket.on('error', error => this.#fail(error))
    this.#socket.on('end', () => this.#fail(closed()))
    this.#socket.on('close', () => this.#fail(closed()))
  }

  get(url: URL): Get {
    const asked = Promise.withResolvers<Answer>()
    this.#asked = asked
    this.#socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: */*\r\n\r\n`)
    return {
      answer: asked.promise,
      destroy: error => {
        if (this.#asked === asked) this.#fail(error)
      },
    }
  }

  /** At once, and it is given to nobody from here on. */
  close(): void {
    this.#socket.destroy()
    this.#events.gone(this)
  }

  /** The connection is of no more use. What had come of a body is said: its length is known by then. */
  #fail(error: Error): void {
    const asked = this.#asked
    this.#asked = undefined
    this.close()
    if (!asked) return
    const brokeOff = `an object broke off after ${this.#filled} of ${this.#head?.length} bytes`
    asked.reject(this.#body && !(error instanceof RaylogError) ? closed(brokeOff) : error)
  }

  #read(bytes: Buffer): void {
    // Nobody asked: whatever it is, what comes after it would be taken for an answer.
    if (!this.#asked) {
      this.close()
      return
    }
    try {
      this.#take(bytes)
    } catch (thrown) {
      this.#fail(thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  }

  #take(bytes: Buffer): void {
    const rest = this.#body ? bytes : this.#open(bytes)
    if (!rest || !this.#body) return
    const room = this.#body.length - this.#filled
    this.#filled += rest.copy(this.#body, this.#filled)
    if (this.#filled === this.#body.length) this.#end(rest.length === room)
  }

  /** @returns what is there of the body, when the head is whole and tells of one */
  #open(bytes: Buffer): Buffer | undefined {
    const before = this.#begun.length
    // No more than a head: what follows it may be an image.
    this.#begun += bytes.toString('latin1', 0, longestHead)
    const end = this.#begun.indexOf(endOfHead, Math.max(0, before - endOfHead.length))
    if (end < 0) {
      if (this.#begun.length >= longestHead) throw new RaylogError('store-unavailable', 'a head without an end')
      return undefined
    }
    const head = parseHead(this.#begun.slice(0, end))
    this.#begun = ''
    const rest = bytes.subarray(end + endOfHead.length - before)
    // An interim answer: the other follows (RFC 9110 15.2).
    if (head.status < 200) return this.#open(rest)
    this.#head = head
    if (head.status !== 200) {
      this.#asked?.resolve({ status: head.status })
      this.#asked = undefined
      // Sooner than to read what it says.
      this.close()
      return undefined
    }
    if (head.length === undefined) throw new RaylogError('store-unavailable', 'an object without a length')
    this.#body = this.#bufferOf(head.length).subarray(0, head.length)
    return rest
  }

  /** @param clean nothing came after the body */
  #end(clean: boolean): void {
    const [asked, bytes] = [this.#asked, this.#body]
    const kept = this.#head?.kept && clean
    this.#asked = undefined
    this.#body = undefined
    this.#filled = 0
    if (kept) this.#events.free(this)
    else this.close()
    if (bytes) asked?.resolve({ status: 200, bytes })
  }
}

export interface Getter {
  /** @param anew on no connection that was kept: one that the server has closed may not have said so yet */
  get(url: string, anew?: boolean): Get
  close(): void
}

/**
 * Connections are kept, by origin.
 *
 * @param bufferOf a buffer of at least so many bytes, for a body
 */
export function createGetter(bufferOf: (length: number) => Buffer): Getter {
  const idle = new Map<string, Set<Connection>>()
  const all = new Set<Connection>()

  function connect(url: URL, free: Set<Connection>): Connection {
    const made = new Connection(url, bufferOf, {
      free: connection => void free.add(connection),
      gone(connection) {
        free.delete(connection)
        all.delete(connection)
      },
    })
    all.add(made)
    return made
  }

  return {
    get(text, anew = false) {
      const url = new URL(text)
      const free = idle.get(url.origin) ?? new Set()
      idle.set(url.origin, free)
      const [kept] = anew ? [] : free
      if (kept) free.delete(kept)
      return (kept ?? connect(url, free)).get(url)
    },
    close() {
      for (const connection of all) connection.close()
    },
  }
}
