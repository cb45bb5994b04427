/** Logins and certificates of destinations: given in the settings, or in files that are read when they are used. */
import { readFileSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { z } from 'zod'
import { Undelivered } from './sender.ts'

const file = (what: string) => z.string().min(1).nullable().default(null).describe(what)

export const tlsSettings = z
  .strictObject({
    caFile: file("PEM of the destination's CA; null: those of Node"),
    certFile: file('PEM of our certificate, with keyFile'),
    keyFile: file('PEM of its key'),
  })
  .refine(({ certFile, keyFile }) => (certFile === null) === (keyFile === null), 'give certFile and keyFile together')

export const loginSettings = {
  username: z.string().min(1).nullable().default(null).describe('HTTP Basic, with password or passwordFile'),
  password: z.string().min(1).nullable().default(null).describe('or passwordFile'),
  passwordFile: file('file that holds the password, read for each report'),
  token: z.string().min(1).nullable().default(null).describe('bearer token, or tokenFile'),
  tokenFile: file('file that holds a bearer token, read for each report'),
}
export type Login = z.infer<z.ZodObject<typeof loginSettings>>

/** @throws Undelivered: it waits until the file is there, as in the middle of a rotation; no report can be sent without it */
function contentOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new Undelivered(`${path} cannot be read`, { code: 'peer-unavailable', answered: false, cause })
  }
}

const textOf = (path: string) =>
  contentOf(path)
    .toString('utf8')
    .replace(/\r?\n$/, '')

/** A file's secret wins over one given as itself. */
export const secretOf = (value: string | null, path: string | null): string | null =>
  path === null ? value : textOf(path)

export function secureOptions(tls: z.infer<typeof tlsSettings>): SecureContextOptions {
  const { caFile, certFile, keyFile } = tls
  return {
    ...(caFile === null ? {} : { ca: contentOf(caFile) }),
    ...(certFile === null ? {} : { cert: contentOf(certFile) }),
    ...(keyFile === null ? {} : { key: contentOf(keyFile) }),
  }
}

/** The header, or undefined where there is no login. */
export function authorizationOf({ username, password, passwordFile, token, tokenFile }: Login): string | undefined {
  const bearer = secretOf(token, tokenFile)
  if (bearer !== null) return `Bearer ${bearer}`
  const secret = secretOf(password, passwordFile)
  if (username === null || secret === null) return undefined
  return `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`
}
