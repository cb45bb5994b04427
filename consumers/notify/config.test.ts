import { describe, expect, it } from 'vitest'
import { notify } from './stage.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

describe('the settings', () => {
  const parse = (...webhooks: object[]) => notify.config.safeParse({ webhooks })
  it.each([
    ['a URL that is not http', { url: 'ftp://example.org/', secret }],
    ['a file', { url: 'file:///etc/passwd', secret }],
    ['a password in the URL', { url: 'https://user:pass@example.org/', secret }],
    ['a short secret', { url: 'https://example.org/', secret: 'short' }],
    ['a secret that is no base64', { url: 'https://example.org/', secret: 'whsec_!!!!!!!!!!!!!!!!!!!!!!!!' }],
    ['no secret', { url: 'https://example.org/' }],
    ['an unknown key', { url: 'https://example.org/', secret, lables: ['x'] }],
  ])('refuse %s', (_, webhook) => {
    expect(parse(webhook).success).toBe(false)
  })

  it('refuse the same webhook twice, which would be told once', () => {
    const webhook = { url: 'https://example.org/', secret }
    expect(parse(webhook, webhook).success).toBe(false)
    expect(parse({ ...webhook, name: 'a' }, { ...webhook, name: 'b' }).success).toBe(true)
    expect(parse(webhook, { ...webhook, url: 'https://example.org/other' }).success).toBe(true)
  })
})
