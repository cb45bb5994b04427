/** A browser that asked to be told by Web Push: keys of its own, and what it can read of what comes (RFC 8291). */
import { createDecipheriv, createECDH, hkdfSync } from 'node:crypto'
import { began } from '../gateway/samples.ts'
import type { Stores } from './stores.ts'

/** @returns what is said in a body that came for it. @throws for what is not for it alone */
export async function pushBrowser(
  { documents, secrets }: Pick<Stores, 'documents' | 'secrets'>,
  { endpoint, person, id = 'pu_1' }: { endpoint: string; person: string; id?: string },
): Promise<(body: Buffer) => unknown> {
  const curve = createECDH('prime256v1')
  const publicKey = curve.generateKeys()
  const auth = Buffer.alloc(16, 7)
  const subscription = {
    endpoint,
    keys: { p256dh: publicKey.toString('base64url'), auth: auth.toString('base64url') },
  }
  const sealed = secrets.seal(JSON.stringify(subscription), id)
  await documents.upsert('pushTargets', [{ id, person, sealed, createdAt: began }])
  return body => {
    const [salt, sender] = [body.subarray(0, 16), body.subarray(21, 86)]
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), publicKey, sender])
    const ikm = Buffer.from(hkdfSync('sha256', curve.computeSecret(sender), auth, info, 32))
    const derived = (what: string, bytes: number) =>
      Buffer.from(hkdfSync('sha256', ikm, salt, `Content-Encoding: ${what}\0`, bytes))
    const decipher = createDecipheriv('aes-128-gcm', derived('aes128gcm', 16), derived('nonce', 12))
    decipher.setAuthTag(body.subarray(-16))
    const text = Buffer.concat([decipher.update(body.subarray(86, -16)), decipher.final()]).toString()
    return JSON.parse(text.slice(0, text.lastIndexOf('\u0002')))
  }
}
