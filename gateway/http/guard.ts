/** Who holds the token. One token a process; no accounts yet. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface Guard {
  /** Name of the cookie; holds part of a digest of the token, so that two Raylogs on one host do not overwrite each other's. */
  readonly cookieName: string
  /** What the cookie holds: derived, so that a leaked cookie is not the token. */
  readonly cookieValue: string
  /** Takes the same time whatever the candidate. */
  isToken(candidate: unknown): boolean
  /** How a request shows that it may: an Authorization header decides where there is one. */
  identify(authorization: string | undefined, cookies: Readonly<Record<string, string | undefined>>): Identity
}

export type Identity = 'bearer' | 'cookie' | 'none'

const digest = (text: string) => createHash('sha256').update(text).digest()

export function createGuard(token: string): Guard {
  const tokenDigest = digest(token)
  const cookieValue = createHmac('sha256', token).update('raylog cookie v1').digest('base64url')
  const cookieDigest = digest(cookieValue)
  const cookieName = `raylog_${createHmac('sha256', token).update('raylog cookie name').digest('hex').slice(0, 8)}`
  const isToken = (candidate: unknown) =>
    typeof candidate === 'string' && timingSafeEqual(digest(candidate), tokenDigest)
  return {
    cookieName,
    cookieValue,
    isToken,
    identify(authorization, cookies) {
      if (authorization !== undefined) {
        const [, candidate] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
        return isToken(candidate) ? 'bearer' : 'none'
      }
      const cookie = cookies[cookieName]
      return cookie !== undefined && timingSafeEqual(digest(cookie), cookieDigest) ? 'cookie' : 'none'
    },
  }
}
