/** Places for associations: of all, and of each caller. */
import { reject } from '../../dicom/pdu.ts'
import type { Peer } from '../../schemas/peers.ts'
import { type Caller, plainAddress } from './admission.ts'
import type { Rejection } from './negotiate.ts'

/** For what each caller may have so much of. Names of peers have no spaces. */
export const callerOf = (peer: Peer | undefined, address: string): string =>
  peer ? peer.name : `at ${plainAddress(address)}`

export interface PlacesOptions {
  maxAssociations: number
  /** Of one who is no peer, told apart by address: AE titles are theirs to choose. */
  maxAssociationsPerCaller: number
}

export class Places {
  readonly #options: PlacesOptions
  readonly #byCaller = new Map<string, number>()
  taken = 0

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** @returns a function that gives the place back, or why there is none */
  take(peer: Peer | undefined, { address }: Caller): Rejection | (() => void) {
    const { maxAssociations, maxAssociationsPerCaller } = this.#options
    const full = (because: string): Rejection => ({ rejected: reject.tooManyAssociations, because })
    if (this.taken >= maxAssociations) return full('as many associations as maxAssociations allows')
    const caller = callerOf(peer, address)
    const has = this.#byCaller.get(caller) ?? 0
    if (has >= (peer ? (peer.maxAssociations ?? maxAssociations) : maxAssociationsPerCaller))
      return full(`as many associations as ${peer ? 'the peer' : 'one caller'} may have`)
    this.taken++
    this.#byCaller.set(caller, has + 1)
    return () => {
      this.taken--
      const left = (this.#byCaller.get(caller) ?? 1) - 1
      if (left > 0) this.#byCaller.set(caller, left)
      else this.#byCaller.delete(caller)
    }
  }
}
