/** The systems around us that we call by their AE title: destinations of C-MOVE, and who is told of a storage commitment. */

import type { Roles } from '../../dicom/pdu.ts'
import { associate, type ProposedSyntaxes, type Requestor } from '../../dicom/requestor.ts'
import { connectTo, dicomPort } from '../../dicom/tls.ts'
import type { Network } from '../../kafka/ports.ts'

/** Associates with one of them. @throws RaylogError peer-unavailable, delivery-failed */
export type Call = (
  contexts: readonly ProposedSyntaxes[],
  options: { signal: AbortSignal; roles?: ReadonlyMap<string, Roles> },
) => Promise<Requestor>

export interface Callable {
  call: Call
  /** What goes to it is de-identified. */
  deidentify: boolean
}

/** Undefined for an AE title that nobody has, or nobody whose address is known. */
export type Directory = (aeTitle: string) => Callable | undefined

export interface DirectoryOptions {
  network: Network
  /** Our AE title. */
  aeTitle: string
  /** For the connection and the association, ms. */
  associateMs: number
  /** For each answer, ms. */
  answerMs: number
}

export function createDirectory({ network, aeTitle, associateMs, answerMs }: DirectoryOptions): Directory {
  return wanted => {
    const peer = network.peers.find(each => each.aeTitle === wanted && each.host !== null)
    if (!peer || peer.host === null) return undefined
    const called = { ...peer, host: peer.host, port: peer.port ?? dicomPort }
    const call: Call = async (contexts, { signal, roles = new Map() }) => {
      const socket = await connectTo(called, network.dicomTls, { timeoutMs: associateMs, signal })
      return associate(socket, { called: wanted, calling: aeTitle, contexts, roles, associateMs, answerMs })
    }
    return { call, deidentify: peer.deidentify }
  }
}
