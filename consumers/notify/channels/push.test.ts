import { createDecipheriv, createECDH, createPublicKey, hkdfSync, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { globalAgent } from 'node:https'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { began } from '../../../tests/gateway/samples.ts'
import { makeAuthority } from '../../../tests/harness/certificates.ts'
import { channelTests } from '../../../tests/harness/channels.ts'

const kit = channelTests()
const { closing, receiver, told } = kit

describe('push', () => {
  /** A browser: keys of its own, and what it can read of what comes (RFC 8291). */
  async function browser(endpoint: string, id = 'pu_1') {
    const curve = createECDH('prime256v1')
    const publicKey = curve.generateKeys()
    const auth = Buffer.alloc(16, 7)
    const subscription = {
      endpoint,
      keys: { p256dh: publicKey.toString('base64url'), auth: auth.toString('base64url') },
    }
    const sealed = kit.stores.secrets.seal(JSON.stringify(subscription), id)
    await kit.stores.documents.upsert('pushTargets', [{ id, person: 'martin', sealed, createdAt: began }])
    return (body: Buffer) => {
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

  it('is read by the browser alone, signed with our key, and taken back with the subscription', async () => {
    const authority = makeAuthority(join(kit.stores.folder, 'ca'))
    globalAgent.options.ca = readFileSync(authority.caFile)
    closing.push(async () => {
      delete globalAgent.options.ca
      globalAgent.destroy()
    })
    let status = 201
    const { url, received } = await receiver(authority, () => status)
    const read = await browser(url)
    const channel = { kind: 'push', contact: 'mailto:it@h.example' }
    expect(await told(channel, { rule: { acknowledge: {} } })).toMatchObject([{ state: 'sent' }])
    const { bytes, headers } = received[0] ?? expect.unreachable('nothing came')
    expect(bytes.toString('latin1')).not.toContain('pneumonia')
    expect(read(bytes)).toMatchObject({
      title: 'CRITICAL RESULT: critical: pneumonia',
      critical: true,
      redelivered: false,
    })
    expect(headers).toMatchObject({ urgency: 'high', ttl: '3600', 'content-encoding': 'aes128gcm' })
    const [, jwt = '', key = ''] = /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization ?? '') ?? []
    const point = Buffer.from(key, 'base64url')
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map(half => half.toString('base64url'))
    const publicKey = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: String(x), y: String(y) }, format: 'jwk' })
    const [head, claims, signature = ''] = jwt.split('.')
    const data = Buffer.from(`${head}.${claims}`)
    const dsa = { key: publicKey, dsaEncoding: 'ieee-p1363' as const }
    expect(verify('sha256', data, dsa, Buffer.from(signature, 'base64url'))).toBe(true)

    status = 410
    await told(channel, { event: { study: 'st_2' } })
    expect((await kit.stores.documents.find('pushTargets')).items).toEqual([])
    const deliveries = await told(channel, { event: { study: 'st_3' } })
    expect(deliveries.map(({ state }) => state).toSorted()).toEqual(['failed', 'failed', 'sent'])
    expect(JSON.stringify(deliveries)).not.toContain('token=hidden')
  })
})
