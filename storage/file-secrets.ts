/**
 * Secrets in files of the data folder: `secrets.key` (32 bytes for pseudonyms, 32 for sealing) and `token` (text).
 *
 * Whoever loses `secrets.key` loses the names for good, and the same patient gets another pseudonym from then on: it
 * belongs in the backup, apart from the data that it seals.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomUUID,
} from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { RaylogError, toRaylogError } from '../schemas/errors.ts'
import type { Secrets } from './secrets.ts'

const keyBytes = 32
/** First byte of a sealed text, so that another cipher can follow: AES-256-GCM, 12 bytes of nonce, 16 of tag. */
const sealVersion = 1
const nonceBytes = 12
const tagBytes = 16
const headBytes = 1 + nonceBytes + tagBytes

/**
 * @param overrides.token used instead of the one in the file, which is then neither made nor read; null: the file's
 * @throws RaylogError config-invalid for a file of the wrong length or that others may read; store-full, store-unavailable
 */
export async function openSecrets(folder: string, overrides: { token?: string | null } = {}): Promise<Secrets> {
  await stored(() => mkdir(folder, { recursive: true, mode: 0o700 }))
  const keys = await keptFile(join(folder, 'secrets.key'), () => randomBytes(2 * keyBytes))
  if (keys.length !== 2 * keyBytes)
    throw new RaylogError(
      'config-invalid',
      `secrets.key has ${keys.length} bytes instead of ${2 * keyBytes}: restore it from a backup. Without it the names kept so far cannot be read; only if that is accepted, remove the file and a new one is made.`,
    )
  const token = overrides.token ?? (await readToken(join(folder, 'token')))
  // As key objects: of bytes, Node makes one at each use, which costs four times what is done with it.
  const pseudonymKey = createSecretKey(keys.subarray(0, keyBytes))
  const sealKey = createSecretKey(keys.subarray(keyBytes))
  return {
    token,
    pseudonym: (site, patient) => pseudonym(pseudonymKey, site, patient.issuer, patient.patientId),
    digest: (kind, text) => `${kind}_${keyed(pseudonymKey, ['digest', kind, text])}`,
    seal: (plain, context) => seal(sealKey, plain, context),
    open: (sealed, context) => unseal(sealKey, sealed, context),
    derive: purpose => new Uint8Array(hkdfSync('sha256', pseudonymKey, '', `raylog ${purpose}`, keyBytes)),
  }
}

async function readToken(path: string): Promise<string> {
  const token = (await keptFile(path, () => Buffer.from(`${randomBytes(32).toString('base64url')}\n`)))
    .toString('utf8')
    .trim()
  if (!/^[\x21-\x7e]{16,}$/.test(token))
    throw new RaylogError(
      'config-invalid',
      'the file "token" does not hold a token of 16 or more visible characters: write one, or remove the file and a new one is made',
    )
  return token
}

/** Leading and trailing spaces of a DICOM LO are not significant (PS3.5 6.2), so they do not make another patient. */
function pseudonym(key: KeyObject, site: string, issuer: string | null, patientId: string | null): string | null {
  const id = patientId?.trim()
  if (!id) return null
  return `pt_${keyed(key, [site, issuer?.trim() ?? '', id])}`
}

/** 128 bits of HMAC-SHA-256 over the parts, each preceded by its length. */
function keyed(key: KeyObject, parts: readonly string[]): string {
  const text = parts.map(part => `${Buffer.byteLength(part)}:${part}`).join('')
  return createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('base64url')
}

function seal(key: KeyObject, plain: string, context: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(sealVersion), nonce, cipher.getAuthTag(), body]).toString('base64')
}

function unseal(key: KeyObject, sealed: string, context: string): string {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < headBytes || bytes[0] !== sealVersion) throw notSealed()
  const nonce = bytes.subarray(1, 1 + nonceBytes)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(1 + nonceBytes, headBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(headBytes)), decipher.final()]).toString('utf8')
  } catch (thrown) {
    throw notSealed(thrown)
  }
}

const notSealed = (cause?: unknown) =>
  new RaylogError('object-damaged', 'a sealed text is damaged, or was sealed with another key or for another record', {
    cause,
  })

/** The file's content; made first where it is missing. Of several that make it at once, all get the first one's. */
async function keptFile(path: string, content: () => Buffer): Promise<Buffer> {
  return stored(async () => {
    if (!(await exists(path))) await makeOnce(path, content())
    await onlyOurs(path)
    return readFile(path)
  })
}

/** Written whole and synced under a name of its own, then linked: nobody ever reads half a key, and nobody replaces one. */
async function makeOnce(path: string, content: Buffer): Promise<void> {
  const draft = `${path}.${process.pid}.${randomUUID()}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
    await file.close()
    await link(draft, path)
    await syncFolder(join(path, '..'))
  } catch (thrown) {
    if (!isErrno(thrown, 'EEXIST')) throw thrown // another one was first: its content is the one
  } finally {
    await Promise.allSettled([file.close()])
    await unlink(draft)
  }
}

async function onlyOurs(path: string): Promise<void> {
  if (process.platform === 'win32') return // rights are not in the mode there
  const { mode } = await stat(path)
  if (mode & 0o077)
    throw new RaylogError(
      'config-invalid',
      `others may read or write ${path} (mode ${(mode & 0o777).toString(8)}): run "chmod 600" on it, and think about who may have read it`,
    )
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return // cannot be opened there; NTFS journals the entry
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (thrown) {
    if (isErrno(thrown, 'ENOENT')) return false
    throw thrown
  }
}

const isErrno = (thrown: unknown, errno: string) => thrown instanceof Error && 'code' in thrown && thrown.code === errno

/** A file system that does not answer is an outage, not a fault of ours. */
async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const error = toRaylogError(thrown)
    throw error.code === 'internal' ? new RaylogError('store-unavailable', error.message, { cause: thrown }) : error
  }
}
