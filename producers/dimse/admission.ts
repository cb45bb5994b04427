/**
 * Who may associate, and for what. With no peers in the settings: whoever calls from this machine. With peers: they alone.
 * `acceptAnyone` takes everybody else too, for labs.
 */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { reject } from '../../dicom/pdu.ts'
import type { Peer, PeerService } from '../../schemas/peers.ts'
import type { Rejection } from './negotiate.ts'
import { procedureStepClass } from './sop-classes.ts'
import { isStorageClass, verification } from './syntaxes.ts'

/** What a certificate that was checked says. */
export interface ShownCertificate {
  /** SHA-256 of the certificate, upper case hex without colons. */
  sha256: string
  commonName: string
}

export interface Caller {
  aeTitle: string
  address: string
  /** Undefined where the connection is plain, or TLS without one. */
  certificate?: ShownCertificate | undefined
}

export interface Admitted {
  /** Undefined for one that no settings name. */
  peer: Peer | undefined
  permits(abstractSyntax: string): boolean
}

/** An IPv4 address that came over an IPv6 socket is that address. */
export const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

const family = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4')

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    if (bits === undefined) list.addAddress(address, family(address))
    else list.addSubnet(address, Number(bits), family(address))
  }
  return list
}

const loopback = listOf(['127.0.0.0/8', '::1'])
const isWithin = (list: BlockList, address: string) => isIP(address) !== 0 && list.check(address, family(address))

const queryRoots = '1.2.840.10008.5.1.4.1.2.'
const worklists = new Set(['1.2.840.10008.5.1.4.31'])
const commitment = '1.2.840.10008.1.20.1'

/** Which of a peer's services a presentation context asks for; undefined: none that is anybody's (C-ECHO is everybody's). */
function serviceOf(abstractSyntax: string): PeerService | undefined {
  if (abstractSyntax === commitment) return 'commitment'
  if (worklists.has(abstractSyntax)) return 'query'
  // The last part says which: 1 C-FIND, 2 C-MOVE, 3 C-GET (PS3.4 C.6).
  if (abstractSyntax.startsWith(queryRoots)) return abstractSyntax.endsWith('.1') ? 'query' : 'retrieve'
  if (isStorageClass(abstractSyntax, true)) return 'store'
  return undefined
}

function permits({ services, sopClasses }: Peer, abstractSyntax: string): boolean {
  if (abstractSyntax === verification) return true
  // Whoever may send images may say what it made.
  if (abstractSyntax === procedureStepClass) return services.includes('store')
  const service = serviceOf(abstractSyntax)
  if (service === undefined || !services.includes(service)) return false
  return service !== 'store' || sopClasses.length === 0 || sopClasses.includes(abstractSyntax)
}

interface Known {
  peer: Peer
  /** Undefined: from anywhere, its certificate tells. */
  from: BlockList | undefined
}

function knownFrom({ addresses, host, certificate }: Peer): BlockList | undefined {
  if (addresses.length > 0) return listOf(addresses)
  if (certificate) return undefined
  return host !== null && isIP(host) !== 0 ? listOf([host]) : listOf([])
}

/** Why this peer is not the caller, or undefined where it is. */
function mismatch({ peer: { certificate }, from }: Known, caller: Caller): string | undefined {
  if (from && !isWithin(from, caller.address)) return 'it calls from an address that is not its own'
  if (!certificate) return undefined
  const shown = caller.certificate
  if (!shown) return 'it shows no certificate'
  const right =
    (certificate.sha256 === null || certificate.sha256 === shown.sha256) &&
    (certificate.commonName === null || certificate.commonName === shown.commonName)
  return right ? undefined : 'it shows a certificate that is not its own'
}

export interface AdmissionRules {
  peers: readonly Peer[]
  acceptAnyone: boolean
}

/** @returns a function that says what a caller may do, or why its association is rejected (PS3.8 table 9-21) */
export function createAdmission({ peers, acceptAnyone }: AdmissionRules): (caller: Caller) => Admitted | Rejection {
  const known = new Map<string, Known[]>()
  for (const peer of peers) {
    if (peer.aeTitle === null || peer.services.length === 0) continue
    const same = known.get(peer.aeTitle) ?? []
    same.push({ peer, from: knownFrom(peer) })
    known.set(peer.aeTitle, same)
  }
  const anyone: Admitted = { peer: undefined, permits: () => true }
  const refused = (because: string): Rejection => ({ rejected: reject.callingAeUnknown, because })

  return caller => {
    const address = plainAddress(caller.address)
    const named = known.get(caller.aeTitle) ?? []
    const reasons = named.map(one => mismatch(one, { ...caller, address }))
    const found = named[reasons.indexOf(undefined)]?.peer
    if (found) return { peer: found, permits: abstractSyntax => permits(found, abstractSyntax) }
    // One that bears the name of a peer and is not it gets in nowhere.
    if (reasons[0] !== undefined) return refused(`calling AE title is a peer's, but ${reasons[0]}`)
    if (acceptAnyone) return anyone
    if (known.size > 0) return refused('calling AE title is not that of a peer')
    if (isWithin(loopback, address)) return anyone
    return refused('no peers are set up, and it does not call from this machine')
  }
}
