import { createDecipheriv, createECDH, createPublicKey, hkdfSync, verify } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTlsServer, globalAgent } from 'node:https'
import { createServer as createMllpServer } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import pino, { type Logger } from 'pino'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, anInstance, began } from '../../tests/gateway/samples.ts'
import { type Authority, makeAuthority } from '../../tests/harness/certificates.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { sign, signingKey } from './channels/webhook.ts'

const closing: (() => PromiseLike<unknown>)[] = []
let stores: Stores
beforeEach(async () => {
  stores = await openStores()
  closing.push(() => stores.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Received {
  body: string
  bytes: Buffer
  headers: IncomingHttpHeaders
}

/** A receiver on HTTP, or HTTPS with a certificate of the authority. */
async function receiver(authority?: Authority, status: () => number = () => 200) {
  const received: Received[] = []
  const made = authority?.issue({ name: 'localhost' })
  const tls = made && { cert: readFileSync(made.certFile), key: readFileSync(made.keyFile) }
  const server = tls ? createTlsServer(tls) : createServer()
  server.on('request', async (request, response) => {
    const bytes = await buffer(request)
    received.push({ body: bytes.toString(), bytes, headers: request.headers })
    response.writeHead(status()).end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  closing.push(async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => resolve()))
  })
  return { received, url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}/hook?token=hidden` }
}

const study = (over: object = {}) =>
  anAssessment(1, { completedAt: began, assessedAt: began, patient: 'pt_1', ...over })
const finding = study().findings[0] ?? expect.unreachable('no finding')

/** One person by one channel, and one rule that tells of everything. */
async function told(
  channel: object,
  options: { event?: object; rule?: object; showNames?: boolean; address?: string; logger?: Logger } = {},
) {
  const { event = {}, rule = {}, showNames = false, address, logger } = options
  const settings = {
    channels: [{ name: 'one', ...channel }],
    people: [{ name: 'martin', reach: [{ channel: 'one', ...(address && { address }) }] }],
    rules: [{ name: 'all', to: ['martin'], ...rule }],
    linkBase: 'https://raylog.h.example/',
    attempts: 1,
    tries: 1,
  }
  const stage = await openNotify(stores, settings, {
    clock: new HandClock(began),
    showNames,
    ...(logger && { logger }),
  })
  closing.push(() => stage.close())
  await stage.hand(topics.studies, study(event))
  return (await stores.documents.find('deliveries')).items
}
const patient = async () => {
  const identity = { name: 'DOE^CANARY', patientId: '1', issuer: null, birthDate: null, sex: null, accession: null }
  await stores.documents.insert('patients', {
    ...{ id: 'pt_1', site: 'main' },
    sealed: stores.secrets.seal(JSON.stringify(identity), 'pt_1'),
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
      expect(body.includes('DOE CANARY')).toBe(is)
      expect(body).not.toContain('pt_1')
    }
    const kept = JSON.stringify([await stores.documents.find('notices'), await stores.documents.find('deliveries')])
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
    ['is of another key', () => stores.secrets.seal(JSON.stringify({ name: 'DOE^CANARY' }), 'pt_2')],
    ['says something else', () => stores.secrets.seal('{"name":', 'pt_1')],
  ])('that %s keeps nobody from being told, and is told of on the log without a name', async (_, sealed) => {
    await stores.documents.insert('patients', { id: 'pt_1', site: 'main', sealed: sealed() })
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
    const whole = stores
    const get: Stores['documents']['get'] = (...what) =>
      what[0] === 'patients'
        ? Promise.reject(new RaylogError('store-unavailable', 'no answer'))
        : whole.documents.get(...what)
    stores = { ...whole, documents: { ...whole.documents, get } }
    const { kind, received } = await channel()
    await expect(told(kind, { showNames: true })).rejects.toMatchObject({ code: 'store-unavailable' })
    expect(received).toEqual([])
    expect((await whole.documents.find('deliveries')).items).toMatchObject([{ state: 'claimed' }])
  })
})

describe('mail', () => {
  const to = { address: 'martin@h.example' }
  const channel = (port: number, over: object = {}) => ({
    ...{ kind: 'email', host: 'localhost', port, from: 'Raylog <r@h.example>' },
    ...over,
  })

  it('goes by STARTTLS with a password, or not at all', async () => {
    const authority = makeAuthority(join(stores.folder, 'ca'))
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
    const failed = (await stores.documents.find('deliveries', { where: { state: 'failed' } })).items
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
    const object = await stores.objects.put(png, 'image/png')
    await stores.documents.insert('instances', anInstance(1, { object, study: 'st_0001' }))
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
    const sealed = stores.secrets.seal(JSON.stringify(subscription), id)
    await stores.documents.upsert('pushTargets', [{ id, person: 'martin', sealed, createdAt: began }])
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
    const authority = makeAuthority(join(stores.folder, 'ca'))
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
    expect((await stores.documents.find('pushTargets')).items).toEqual([])
    const deliveries = await told(channel, { event: { study: 'st_3' } })
    expect(deliveries.map(({ state }) => state).toSorted()).toEqual(['failed', 'failed', 'sent'])
    expect(JSON.stringify(deliveries)).not.toContain('token=hidden')
  })
})

it('a system that reads HL7 gets an ORU^R01 over MLLP, and its answer decides', async () => {
  const messages: string[] = []
  let answer = 'AA'
  const server = createMllpServer(socket =>
    socket.on('data', bytes => {
      const text = bytes.toString().slice(1, -2)
      messages.push(text)
      const id = text.split('|')[9]
      socket.write(`\u000bMSH|^~\\&|RIS|H|RAYLOG|main|||ACK|1|P|2.5.1\rMSA|${answer}|${id}\r\u001c\r`)
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => new Promise<void>(resolve => server.close(() => resolve())))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const channel = { kind: 'hl7', host: '127.0.0.1', port, application: 'RIS', facility: 'H' }
  const [delivery] = await told(channel, { rule: { acknowledge: {} } })
  expect(delivery).toMatchObject({ state: 'sent', channel: 'hl7' })
  const segments = messages[0]?.split('\r').map(line => line.split('|')) ?? []
  const of = (name: string) => segments.filter(([first]) => first === name)
  expect(of('MSH')[0]?.slice(2, 6)).toEqual(['RAYLOG', 'main', 'RIS', 'H'])
  expect(of('MSH')[0]?.slice(8, 12)).toEqual(['ORU^R01^ORU_R01', delivery?.id.slice(3, 23), 'P', '2.5.1'])
  expect(of('NTE')[0]?.[3]).toBe('CRITICAL RESULT: critical: pneumonia')
  expect(of('OBX')[0]).toMatchObject({ 3: 'pneumonia^pneumonia^99RAYLOG', 8: 'A', 11: 'P' })
  expect(of('PID'), 'no name by default').toEqual([])
  expect(messages[0]).not.toContain('pt_1')
  const identity = { name: 'DOE^JANE^M^DR^MD=ドウ^ジェーン' }
  await stores.documents.insert('patients', {
    ...{ id: 'pt_1', site: 'main' },
    sealed: stores.secrets.seal(JSON.stringify(identity), 'pt_1'),
  })
  await told({ ...channel, names: true }, { event: { study: 'st_3' }, showNames: true })
  expect(messages[1]?.split('\r').find(line => line.startsWith('PID'))).toBe(
    'PID|1||pt_1^^^RAYLOG^ANON||DOE^JANE^M^MD^DR^^L^A~ドウ^ジェーン^^^^^L^I',
  )
  answer = 'AR'
  const all = await told(channel, { event: { study: 'st_2' } })
  expect(all.find(({ state }) => state === 'failed')?.message).toBe('the receiver acknowledged with AR')
})
