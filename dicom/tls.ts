/**
 * DICOM over TLS by the BCP 195 RFC 8996, 9325 profile (PS3.15 B.12): TLS 1.2 and 1.3 and nothing older, the suites that it names,
 * and both sides show a certificate.
 */
import { readFileSync, statSync } from 'node:fs'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions, TLSSocket } from 'node:tls'
import { RaylogError } from '../schemas/errors.ts'
import type { DicomTls, Peer } from '../schemas/peers.ts'

/** The port that IANA gave to DICOM over TLS (PS3.15 B.12). */
export const tlsPort = 2762

/** TLS 1.3 is preferred where both have it. Without forward secrecy or authenticated encryption nothing is taken. */
export const tlsProfile = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  suites: {
    'TLSv1.3': ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
    'TLSv1.2': [
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-RSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-GCM-SHA256',
    ],
  },
} as const

function contentOf(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new RaylogError('config-invalid', `dicomTls.${name}: ${path} cannot be read (${code})`, { cause })
  }
}

/** What both sides of a connection are made with. @throws RaylogError config-invalid for a file that cannot be read */
export function secureOptions({ certFile, keyFile, caFile }: DicomTls): SecureContextOptions {
  return {
    cert: contentOf('certFile', certFile),
    key: contentOf('keyFile', keyFile),
    ca: contentOf('caFile', caFile),
    minVersion: tlsProfile.minVersion,
    maxVersion: tlsProfile.maxVersion,
    ciphers: [...tlsProfile.suites['TLSv1.3'], ...tlsProfile.suites['TLSv1.2']].join(':'),
    honorCipherOrder: true,
  }
}

/** Changes when one of the files does; undefined while one is away, as in the middle of a renewal. */
export function stampOf({ certFile, keyFile, caFile }: DicomTls): string | undefined {
  const stats = [certFile, keyFile, caFile].map(path => statSync(path, { throwIfNoEntry: false }))
  if (stats.includes(undefined)) return undefined
  return stats.map(stat => `${stat?.ino} ${stat?.mtimeMs} ${stat?.size}`).join(', ')
}

/** The certificate that the other side showed, and that was found good. */
export function certificateOf(socket: TLSSocket): { sha256: string; commonName: string } | undefined {
  if (!socket.authorized) return undefined
  const { fingerprint256, subject } = socket.getPeerCertificate()
  if (!fingerprint256) return undefined
  const name: unknown = subject?.CN
  return { sha256: fingerprint256.replaceAll(':', ''), commonName: typeof name === 'string' ? name : '' }
}

/** The port that IANA gave to DICOM (PS3.8 9.1.1). */
export const dicomPort = 104

export type Called = Pick<Peer, 'name' | 'tls' | 'certificate'> & { host: string; port: number }

/**
 * A connection to a peer, over TLS where it is set so. Closed by the caller.
 * @throws RaylogError peer-unavailable; config-invalid where we have no certificate
 */
export async function connectTo(
  peer: Called,
  dicomTls: DicomTls | null,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal },
): Promise<Socket> {
  const socket = peer.tls ? dialTls(peer, dicomTls) : connectPlain({ ...at(peer), noDelay: true })
  const ready = peer.tls ? 'secureConnect' : 'connect'
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error: Error) =>
    reject(new RaylogError('peer-unavailable', `${peer.name}: ${reasonOf(error)}`, { cause: error }))
  const aborted = () => reject(signal?.reason)
  const timer = setTimeout(() => failed(new Error('no connection in time')), timeoutMs)
  socket.once(ready, () => resolve()).once('error', failed)
  signal?.addEventListener('abort', aborted, { once: true })
  try {
    signal?.throwIfAborted()
    await promise
    checkCertificate(peer, socket)
    return socket
  } catch (thrown) {
    socket.on('error', () => socket.destroy())
    socket.destroy()
    throw thrown
  } finally {
    clearTimeout(timer)
    socket.off('error', failed)
    signal?.removeEventListener('abort', aborted)
  }
}

const at = ({ host, port }: Called) => ({ host, port })
const reasonOf = (error: Error) => ('code' in error ? String(error.code) : error.message)

function dialTls(peer: Called, dicomTls: DicomTls | null): TLSSocket {
  if (!dicomTls) throw new RaylogError('config-invalid', `peer ${peer.name} has tls: give dicomTls our certificate`)
  // A certificate that is named in the settings is better proof than a host name in it.
  const byName = dicomTls.checkHostName && peer.certificate === null
  return connectTls({
    ...at(peer),
    ...secureOptions(dicomTls),
    ...(isIP(peer.host) === 0 ? { servername: peer.host } : {}),
    ...(byName ? {} : { checkServerIdentity: () => undefined }),
  }).setNoDelay(true)
}

function checkCertificate({ name, certificate }: Called, socket: Socket): void {
  if (!certificate || !(socket instanceof TLSSocket)) return
  const shown = certificateOf(socket)
  const right =
    shown &&
    (certificate.sha256 === null || certificate.sha256 === shown.sha256) &&
    (certificate.commonName === null || certificate.commonName === shown.commonName)
  if (!right) throw new RaylogError('peer-unavailable', `${name}: shows a certificate that is not its own`)
}
