/** Which names and pages may talk to this server: what stands between a browser's other tabs and the port. */
import { isIPv4 } from 'node:net'

export interface OriginHeaders {
  host?: string | undefined
  origin?: string | undefined
  'sec-fetch-site'?: string | string[] | undefined
}

/** Whether an address or name can only mean this machine (RFC 6761 for localhost, 127.0.0.0/8, ::1). */
export function isLoopback(name: string): boolean {
  const bare = name.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1') return true
  return isIPv4(bare) && bare.startsWith('127.')
}

/** The name in a Host header, without the port; undefined where there is none or it is not one. */
function hostName(header: string | undefined): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/?#@\s]+)(?::\d{1,5})?$/.exec(header ?? '')
  return match?.[1]
}

/**
 * DNS rebinding: a page of another site whose name was pointed at 127.0.0.1 sends its own name as Host. Bound to loopback only loopback
 * names are answered; bound to the network any name may be ours.
 */
export function hostAllowed(header: string | undefined, boundToLoopback: boolean): boolean {
  const name = hostName(header)
  return name !== undefined && (!boundToLoopback || isLoopback(name))
}

/** Whether the browser says that our own page asks. False where it says nothing. */
export function sameOrigin(headers: OriginHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  return originMatches(headers)
}

/** For handshakes: a client that is no browser sends neither header and is judged by its token alone. */
export function foreignOrigin(headers: OriginHeaders): boolean {
  if (headers['sec-fetch-site'] === undefined && headers.origin === undefined) return false
  return !sameOrigin(headers)
}

function originMatches({ origin, host }: OriginHeaders): boolean {
  if (origin === undefined || host === undefined || !URL.canParse(origin)) return false
  return new URL(origin).host === host.toLowerCase()
}
