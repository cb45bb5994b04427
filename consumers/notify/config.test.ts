import { describe, expect, it } from 'vitest'
import { compile } from '../../kafka/compile.ts'
import { over, within } from './hours.ts'
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

describe('channels, people and rules', () => {
  const mail = { name: 'mail', kind: 'email', host: 'smtp.example', from: 'r@h.example' }
  const team = { name: 'team', kind: 'teams', url: 'https://flows.example/hook?sig=hidden' }
  const person = { name: 'martin', reach: [{ channel: 'mail', address: 'm@h.example' }] }
  const all = { channels: [mail, team], people: [person], rules: [{ name: 'r', to: ['martin'] }] }
  const problems = (over: object) =>
    notify.config.safeParse({ ...all, ...over }).error?.issues.map(({ message }) => message) ?? []

  it('that name each other are taken', () => {
    expect(problems({})).toEqual([])
  })

  it.each([
    ['a channel that is not there', { channels: [team] }, 'there is no channel "mail"'],
    [
      'a mail without an address',
      { people: [{ ...person, reach: [{ channel: 'mail' }] }] },
      'a mail address is needed',
    ],
    [
      'an address that would be several',
      { people: [{ ...person, reach: [{ channel: 'mail', address: 'a@b.example,c@d.example' }] }] },
      'a mail address is needed',
    ],
    ['nobody to tell', { rules: [{ name: 'r', to: ['nobody'] }] }, 'there is no role or person "nobody"'],
    [
      'a chain that ends in nobody',
      { rules: [{ name: 'r', to: ['martin'], acknowledge: { chain: ['chief'] } }] },
      'there is no role or person "chief"',
    ],
    ['a shift of nobody', { roles: [{ name: 'x', shifts: [{ people: ['y'] }] }] }, 'there is nobody called "y"'],
    ['two of a name', { people: [person, person] }, '"martin" is there twice'],
    [
      'a place that has no time',
      { timeZones: { main: 'Europe/Nowhere' } },
      'no such time zone; give one such as Europe/Paris',
    ],
    [
      'a password in the clear',
      { channels: [{ ...mail, security: 'none', user: 'u', password: 'p' }, team] },
      'a password is not sent without TLS: set security',
    ],
    [
      'a priority of a prediction',
      { rules: [{ name: 'r', to: ['martin'], on: 'prediction', priorities: ['stat'] }] },
      'a prediction has no priority: use on: study',
    ],
  ])('are refused with %s', (_, over, message) => {
    expect(problems(over)).toContain(message)
  })

  it('show no secret to those who look at the settings', () => {
    const channels = [
      { ...mail, user: 'raylog', password: 'hidden-1' },
      team,
      { name: 'hook', kind: 'webhook', url: 'https://h.example/?t=hidden-2', secret: `whsec_${'hidden'.repeat(5)}` },
    ]
    const webhooks = [{ url: 'https://h.example/?t=hidden-3', secret }]
    const shown = JSON.stringify(compile([notify], { notify: { ...all, channels, webhooks } }).effective)
    expect(shown).not.toMatch(/hidden|whsec/)
    expect(shown).toContain('smtp.example')
  })
})

describe('hours', () => {
  const at = (text: string) => Date.parse(text)
  const nights = [{ days: ['fri' as const], from: '22:00', to: '07:00' }]
  it.each([
    ['2026-01-02T22:30:00+01:00', true],
    ['2026-01-03T06:59:00+01:00', true],
    ['2026-01-03T07:00:00+01:00', false],
    ['2026-01-03T22:30:00+01:00', false],
    ['2026-01-02T06:30:00+01:00', false],
  ])('over midnight of a Friday in Paris at %s: %s', (time, is) => {
    expect(within(nights, at(time), 'Europe/Paris')).toBe(is)
  })

  it('end when the clocks there say so, also in the night in which these are put forward', () => {
    const every = [{ days: [], from: '22:00', to: '07:00' }]
    expect(over(every, at('2026-03-28T23:00:30+01:00'), 'Europe/Paris')).toBe(at('2026-03-29T07:00:00+02:00'))
    expect(over(every, at('2026-01-02T12:00:00+01:00'), 'Europe/Paris')).toBe(at('2026-01-02T12:00:00+01:00'))
    expect(over(every, at('2026-01-02T23:00:00+05:45'), 'Asia/Kathmandu')).toBe(at('2026-01-03T07:00:00+05:45'))
  })
})
