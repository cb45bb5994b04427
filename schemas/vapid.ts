/** The key that signs for push services (VAPID, RFC 8292): P-256, its private part derived from secrets.key. */
import { createECDH } from 'node:crypto'

/** Of `secrets.derive`: 32 bytes, which are the private key. */
export const vapidPurpose = 'web push'

/** Uncompressed point, base64url, as `PushManager.subscribe` takes it. */
export function vapidPublicKey(key: Uint8Array): string {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(Buffer.from(key))
  return curve.getPublicKey('base64url', 'uncompressed')
}
