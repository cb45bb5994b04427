import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { anInstance } from '../../../tests/gateway/samples.ts'
import { makeAuthority } from '../../../tests/harness/certificates.ts'
import { channelTests } from '../../../tests/harness/channels.ts'
import { startMail } from '../../../tests/harness/mail.ts'

const kit = channelTests()
const { closing, told } = kit

describe('mail', () => {
  const to = { address: 'martin@h.example' }
  const channel = (port: number, over: object = {}) => ({
    ...{ kind: 'email', host: 'localhost', port, from: 'Raylog <r@h.example>' },
    ...over,
  })

  it('goes by STARTTLS with a password, or not at all', async () => {
    const authority = makeAuthority(join(kit.stores.folder, 'ca'))
    const { certFile, keyFile } = authority.issue({ name: 'localhost' })
    const tls = { key: readFileSync(keyFile), cert: readFileSync(certFile) }
    const users: string[] = []
    const secure = await startMail({
      ...tls,
      authOptional: false,
      onAuth: ({ username = '', password }, session, done) => {
        users.push(`${username} ${session.secure}`)
        done(password === 'right' ? null : new Error('no'), { user: username })
      },
    })
    closing.push(() => secure[Symbol.asyncDispose]())
    const login = { caFile: authority.caFile, user: 'raylog', password: 'right' }
    expect(await told(channel(secure.port, login), to)).toMatchObject([{ state: 'sent' }])
    expect(users).toEqual(['raylog true'])
    expect(secure.mails[0]?.header('message-id')).toMatch(/^<dl_[0-9a-f]{32}@h\.example>$/)

    const plain = await startMail()
    closing.push(() => plain[Symbol.asyncDispose]())
    const refused = [
      channel(plain.port, login),
      channel(secure.port, { ...login, caFile: null }),
      channel(secure.port, { ...login, password: 'wrong-password' }),
    ]
    for (const [n, one] of refused.entries()) await told(one, { ...to, event: { study: `st_${n + 5}` } })
    const failed = (await kit.stores.documents.find('deliveries', { where: { state: 'failed' } })).items
    expect(failed).toHaveLength(3)
    expect(JSON.stringify(failed)).not.toContain('wrong-password')
    expect(plain.mails).toEqual([])
  })

  it('carries the image only where the channel may, inline', async () => {
    const mail = await startMail()
    closing.push(() => mail[Symbol.asyncDispose]())
    const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 }
    const png = await sharp({ create: { width: 900, height: 900, channels: 3, background: '#888', noise } })
      .png()
      .toBuffer()
    const object = await kit.stores.objects.put(png, 'image/png')
    await kit.stores.documents.insert('instances', anInstance(1, { object, study: 'st_0001' }))
    const open = { security: 'none', host: '127.0.0.1' }
    await told(channel(mail.port, { ...open, image: true }), to)
    await told(channel(mail.port, open), { ...to, event: { study: 'st_2' } })
    const [withImage, without] = mail.mails
    expect(withImage?.raw).toContain('cid:image@raylog')
    expect(withImage?.raw).toMatch(/Content-Disposition: inline/i)
    expect(withImage?.raw).toContain('Content-Type: image/jpeg')
    expect(without?.raw).not.toMatch(/cid:|image\/jpeg/)
  })
})
