import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { globalAgent } from 'node:https'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anAssessment } from '../../../tests/gateway/samples.ts'
import { makeAuthority } from '../../../tests/harness/certificates.ts'
import { channelTests } from '../../../tests/harness/channels.ts'
import { pushBrowser } from '../../../tests/harness/push-browser.ts'

const kit = channelTests()
const { closing, receiver, told } = kit

describe('push', () => {
  it('is read by the browser alone, signed with our key, and taken back with the subscription', async () => {
    const authority = makeAuthority(join(kit.stores.folder, 'ca'))
    globalAgent.options.ca = readFileSync(authority.caFile)
    closing.push(async () => {
      delete globalAgent.options.ca
      globalAgent.destroy()
    })
    let status = 201
    const { url, received } = await receiver(authority, () => status)
    const read = await pushBrowser(kit.stores, { endpoint: url, person: 'martin' })
    const channel = { kind: 'push', contact: 'mailto:it@h.example' }
    expect(await told(channel, { rule: { acknowledge: {} } })).toMatchObject([{ state: 'sent' }])
    const { bytes, headers } = received[0] ?? expect.unreachable('nothing came')
    expect(bytes.toString('latin1')).not.toContain('pneumonia')
    expect(read(bytes)).toMatchObject({
      study: anAssessment(1).study,
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
