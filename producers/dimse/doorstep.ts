/**
 * Connections that have not associated: so many of one address, so that whoever opens hundreds and says nothing keeps out
 * nobody but those who call from there.
 */
import type { Server, Socket } from 'node:net'
import { plainAddress } from './admission.ts'

export interface DoorstepOptions {
  /** Of one address, at once. */
  most: number
  /** Told of each connection that is closed for it, and whether it is the first in a row. */
  dropped(address: string, because: string, first: boolean): void
}

/** Any TCP connection, or what TLS has made of it: the same one by its remote end. */
type End = Pick<Socket, 'remoteAddress' | 'remotePort'>

const addressOf = ({ remoteAddress = '' }: { remoteAddress?: string | undefined }) => plainAddress(remoteAddress)

/** Addresses that were said to be full. */
const remembered = 1_000

export class Doorstep {
  readonly #options: DoorstepOptions
  readonly #waiting = new Map<string, Set<number | undefined>>()
  /** Addresses of which one was closed since the last of them was gone. */
  readonly #full = new Set<string>()

  constructor(options: DoorstepOptions) {
    this.#options = options
  }

  /** Counts the connections of a server from their first moment, before TLS, and closes those that are too many. */
  watch(server: Server): void {
    const serve = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', socket => {
      // A socket that is closed has no address any more.
      const end = { remoteAddress: socket.remoteAddress, remotePort: socket.remotePort }
      if (!this.#enter(end)) return void socket.resetAndDestroy()
      socket.once('close', () => this.leave(end))
      for (const listener of serve) listener.call(server, socket)
    })
    server.on('drop', data => this.#drop(addressOf(data ?? {}), 'as many connections as the port takes'))
  }

  #enter(end: End): boolean {
    const address = addressOf(end)
    const waiting = this.#waiting.get(address) ?? new Set()
    if (waiting.size >= this.#options.most) {
      this.#drop(address, 'too many connections of its address have not associated')
      return false
    }
    waiting.add(end.remotePort)
    this.#waiting.set(address, waiting)
    return true
  }

  #drop(address: string, because: string): void {
    this.#options.dropped(address, because, !this.#full.has(address))
    if (this.#full.size >= remembered) this.#full.clear()
    this.#full.add(address)
  }

  /** It has associated, or is gone. Safe twice. */
  leave(end: End): void {
    const address = addressOf(end)
    const waiting = this.#waiting.get(address)
    if (!waiting?.delete(end.remotePort)) return
    if (waiting.size > 0) return
    this.#waiting.delete(address)
    this.#full.delete(address)
  }
}
