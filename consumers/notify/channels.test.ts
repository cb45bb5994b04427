import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { began } from '../../tests/gateway/samples.ts'
import { channelTests, finding } from '../../tests/harness/channels.ts'
import { startMail } from '../../tests/harness/mail.ts'
import type { Stores } from '../../tests/harness/stores.ts'
import { sign, signingKey } from './channels/webhook.ts'

const kit = channelTests()
const { closing, receiver, told } = kit

const patient = async () => {
  const identity = { name: 'DOE^CANARY', patientId: '1', issuer: null, birthDate: null, sex: null, accession: null }
  await kit.stores.documents.insert('patients', {
    ...{ id: 'pt_1', site: 'main' },
    sealed: kit.stores.secrets.seal(JSON.stringify(identity), 'pt_1'),
  })
}

const cases = {
  green: [{ event: { findings: [] } }, '#2e7d32', 'good'],
  red: [{}, '#c62828', 'warning'],
  'alert (STAT)': [{ event: { priority: 'stat' } }, '#ad1457', 'attention'],
  'alert (critical)': [{ rule: { acknowledge: {} } }, '#ad1457', 'attention'],
} as const

describe.each(Object.entries(cases))('a card is %s', (_, [options, colour, style]) => {
  it('in Slack, as an attachment of blocks', async () => {
    const { url, received } = await receiver()
    expect(await told({ kind: 'slack', url }, options)).toMatchObject([{ state: 'sent', destination: 'martin/one' }])
    const { attachments, text } = JSON.parse(received[0]?.body ?? '')
    expect(attachments[0]).toMatchObject({ color: colour, fallback: text })
    for (const block of attachments[0].blocks) expect(['header', 'section', 'actions', 'context']).toContain(block.type)
    expect(attachments[0].blocks[0].text.text.length).toBeLessThanOrEqual(150)
  })

  it('in Discord, as an embed', async () => {
    const { url, received } = await receiver()
    await told({ kind: 'discord', url }, options)
    const body = JSON.parse(received[0]?.body ?? '')
    expect(body.embeds[0].color).toBe(Number.parseInt(colour.slice(1), 16))
    expect(body.allowed_mentions).toEqual({ parse: [] })
  })

  it('in Discord, with its link however much there is to say', async () => {
    const { url, received } = await receiver()
    const findings = Array.from({ length: 200 }, (_, n) => ({ ...finding, label: `a finding with a long name, ${n}` }))
    await told({ kind: 'discord', url }, { event: { findings }, rule: { acknowledge: {} } })
    const { description } = JSON.parse(received[0]?.body ?? '').embeds[0]
    expect(description).toHaveLength(4_096)
    expect(description).toMatch(/\*\*\[Acknowledge\]\(https:\/\/raylog\.h\.example\/acknowledge\/\S+\)\*\*/)
  })

  it('in Teams, as an Adaptive Card', async () => {
    const { url, received } = await receiver()
    await told({ kind: 'teams', url }, options)
    const body = JSON.parse(received[0]?.body ?? '')
    expect(body).toMatchObject({
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content: { type: 'AdaptiveCard' } }],
    })
    expect(body.attachments[0].content.body[0]).toMatchObject({ type: 'Container', style })
  })
})

describe('what a label is made of', () => {
  const label = '<!channel> [x](https://evil.example) *b* <b> @everyone'
  it('is text in every channel', async () => {
    const { url, received } = await receiver()
    for (const kind of ['slack', 'discord', 'teams']) {
      await told({ kind, url }, { event: { study: kind, findings: [{ ...finding, label }] } })
    }
    const [slack, discord, teams] = received.map(({ body }) => JSON.parse(body))
    expect(JSON.stringify(slack.attachments[0].blocks[1])).toContain('&lt;!channel&gt;')
    expect(discord.embeds[0].description).toContain('\\[x\\]\\(https://evil.example\\)')
    expect(discord.allowed_mentions).toEqual({ parse: [] })
    expect(JSON.stringify(teams)).toContain('\\\\[x\\\\]\\\\(https://evil.example\\\\)')
    const mail = await startMail()
    closing.push(() => mail[Symbol.asyncDispose]())
    const event = { study: 'mail', findings: [{ ...finding, label: `${label}\r\nBcc: x@evil.example` }] }
    const channel = { kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' }
    await told(channel, { event, address: 'martin@h.example' })
    expect(mail.mails[0]?.to).toEqual(['martin@h.example'])
    expect(mail.mails[0]?.header('Bcc')).toBeUndefined()
    expect(mail.mails[0]?.raw).toContain('&lt;b&gt;')
  })
})

it('a name that is written as a link is text in every card', async () => {
  const identity = { name: '[x](https://evil.example)^<!channel>^*b*' }
  const sealed = kit.stores.secrets.seal(JSON.stringify(identity), 'pt_1')
  await kit.stores.documents.insert('patients', { id: 'pt_1', site: 'main', sealed })
  const { url, received } = await receiver()
  for (const kind of ['slack', 'discord', 'teams'])
    await told({ kind, url, names: true }, { event: { study: kind }, showNames: true })
  const [slack, discord, teams] = received.map(({ body }) => JSON.stringify(JSON.parse(body)))
  expect(slack).toContain('&lt;!channel&gt;')
  expect(slack).not.toContain('<!channel>')
  for (const card of [discord, teams]) {
    expect(card).toContain('\\\\[x\\\\]\\\\(https://evil.example\\\\)')
    expect(card).toContain('\\\\*b\\\\*')
  }
})

describe("a patient's name", () => {
  it.each([
    ['neither', false, false, false],
    ['the channel alone', true, false, false],
    ['the platform alone', false, true, false],
    ['both', true, true, true],
  ])('is told where %s allow it', async (_, names, showNames, is) => {
    await patient()
    const hook = await receiver()
    for (const kind of ['slack', 'discord', 'teams', 'webhook'])
      await told(
        { kind, url: hook.url, names, ...(kind === 'webhook' && { secret: 'a-secret-of-sixteen' }) },
        { event: { study: kind }, showNames },
      )
    expect(hook.received).toHaveLength(4)
    for (const { body } of hook.received) {
      expect(body.includes('DOE, CANARY')).toBe(is)
      expect(body).not.toContain('pt_1')
    }
    const kept = JSON.stringify([
      await kit.stores.documents.find('notices'),
      await kit.stores.documents.find('deliveries'),
    ])
    expect(kept).not.toContain('CANARY')
  })

  it('is not told by default, nor what was found where a channel may not say it', async () => {
    await patient()
    const { url, received } = await receiver()
    await told({ kind: 'slack', url }, { showNames: true })
    await told({ kind: 'slack', url, findings: false }, { event: { study: 'st_2' }, showNames: true })
    expect(received[0]?.body).toContain('pneumonia')
    expect(received[1]?.body).not.toContain('pneumonia')
    expect(received[1]?.body).toContain('A result')
    for (const { body } of received) expect(body).not.toContain('CANARY')
  })
})

it('a webhook of rules is signed, with the time in the signature', async () => {
  const { url, received } = await receiver()
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const [delivery] = await told({ kind: 'webhook', url, secret }, { rule: { acknowledge: {} } })
  const { headers, body } = received[0] ?? expect.unreachable('nothing came')
  const [id, at] = [String(headers['webhook-id']), String(headers['webhook-timestamp'])]
  expect([id, at]).toEqual([delivery?.id, String(began / 1000)])
  expect(headers['webhook-signature']).toBe(sign(signingKey(secret), id, at, body))
  expect(JSON.parse(body)).toMatchObject({
    type: 'notification',
    data: {
      level: 'alert',
      critical: true,
      ...{ study: 'st_0001', site: 'main', priority: 'urgent' },
      findings: [{ label: 'pneumonia', present: true }],
      recipient: 'martin',
      links: { acknowledge: expect.stringContaining('https://raylog.h.example/acknowledge/nt_') },
    },
  })
  expect(JSON.parse(body).data.findings[0]).not.toHaveProperty('score')
})

describe('a record of names', () => {
  const channel = async () => {
    const { url, received } = await receiver()
    return { received, kind: { kind: 'slack', url, names: true } }
  }
  it.each([
    ['is damaged', () => 'rubbish'],
    ['is of another key', () => kit.stores.secrets.seal(JSON.stringify({ name: 'DOE^CANARY' }), 'pt_2')],
    ['says something else', () => kit.stores.secrets.seal('{"name":', 'pt_1')],
  ])('that %s keeps nobody from being told, and is told of on the log without a name', async (_, sealed) => {
    await kit.stores.documents.insert('patients', { id: 'pt_1', site: 'main', sealed: sealed() })
    const { kind, received } = await channel()
    const lines: string[] = []
    const logger = pino({ level: 'warn' }, { write: line => lines.push(line) })
    expect(await told(kind, { showNames: true, logger })).toMatchObject([{ state: 'sent' }])
    expect(received[0]?.body).toContain('pneumonia')
    expect(received[0]?.body).not.toContain('Patient')
    const line = { code: expect.any(String), patient: 'pt_1', msg: 'a sealed patient cannot be opened' }
    expect(lines.map(text => JSON.parse(text))).toMatchObject([line])
    expect(lines.join()).not.toMatch(/CANARY|rubbish|"name"/)
  })

  it('that cannot be read now is waited for', async () => {
    await patient()
    const whole = kit.stores
    const get: Stores['documents']['get'] = (...what) =>
      what[0] === 'patients'
        ? Promise.reject(new RaylogError('store-unavailable', 'no answer'))
        : whole.documents.get(...what)
    kit.stores = { ...whole, documents: { ...whole.documents, get } }
    const { kind, received } = await channel()
    await expect(told(kind, { showNames: true })).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(received).toEqual([])
    expect((await whole.documents.find('deliveries')).items).toMatchObject([{ state: 'claimed' }])
  })
})
