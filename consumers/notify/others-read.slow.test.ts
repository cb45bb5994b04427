/** What notify sends, as software that is not ours reads it: mail by Python's email package, webhooks by a library of Standard Webhooks. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { systemClock } from '../../monitoring/clock.ts'
import { topics } from '../../schemas/topics.ts'
import { anAssessment, anInstance, aPrediction } from '../../tests/gateway/samples.ts'
import { channelTests, finding } from '../../tests/harness/channels.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { pythonWith, runPython } from '../../tests/harness/python.ts'

const fixtures = join(import.meta.dirname, 'fixtures')
const found = await pythonWith(['standardwebhooks==1.1.0'])
const missing = 'missing' in found
const python = missing ? '' : found.python
const title = (what: string) => (missing ? `${what} (skipped: ${found.missing})` : what)

const kit = channelTests()
const { closing, receiver, told } = kit

const mailShape = z.object({
  tree: z.unknown(),
  defects: z.array(z.string()),
  headers: z.record(z.string(), z.string()),
  twice: z.array(z.string()),
  ...{ to: z.array(z.string()), from: z.array(z.string()), date: z.number() },
  ...{ charsets: z.array(z.string()), plain: z.string(), html: z.string() },
  ...{ links: z.array(z.string()), shown: z.array(z.string()) },
  images: z.record(
    z.string(),
    z.object({ type: z.string(), disposition: z.string(), bytes: z.number(), jpeg: z.boolean() }),
  ),
  ...{ longest: z.number(), bare: z.number(), ascii: z.boolean() },
})

describe.skipIf(missing)(title("a mail that Python's email package reads"), () => {
  /** The last that came. */
  async function read(seen: readonly string[]) {
    const path = join(kit.stores.folder, 'mail.eml')
    await writeFile(path, seen.at(-1) ?? '')
    const [line = ''] = (await runPython(python, [join(fixtures, 'read_mail.py'), path])).split('\n')
    return mailShape.parse(JSON.parse(line))
  }

  const open = async (refuse?: Parameters<typeof startMail>[1]) => {
    const mail = await startMail({}, refuse)
    closing.push(() => mail[Symbol.asyncDispose]())
    const from = 'Raylog – Klinik Süd <raylog@h.example>'
    return { mail, channel: { kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from } }
  }
  const address = 'martin@h.example'

  it('has its image where its page shows it, and says the same as text', async () => {
    const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 }
    const picture = sharp({ create: { width: 900, height: 900, channels: 3, background: '#888', noise } })
    const object = await kit.stores.objects.put(await picture.png().toBuffer(), 'image/png')
    await kit.stores.documents.insert('instances', anInstance(1, { object, study: 'st_0001' }))
    const identity = JSON.stringify({ name: 'Sørensen^Đặng Thị=山田^太郎' })
    const sealed = kit.stores.secrets.seal(identity, 'pt_1')
    await kit.stores.documents.insert('patients', { id: 'pt_1', site: 'main', sealed })
    const { mail, channel } = await open()
    const event = { findings: [{ ...finding, label: 'épanchement pleural <b>' }, finding], priority: 'stat' }
    const rule = { acknowledge: {} }
    await told({ ...channel, image: true, names: true }, { event, rule, address, showNames: true })
    const one = await read(mail.seen)
    expect(one.tree).toEqual({
      'multipart/alternative': ['text/plain', { 'multipart/related': ['text/html', 'image/jpeg'] }],
    })
    expect(one).toMatchObject({ defects: [], twice: [], to: [address], from: ['raylog@h.example'] })
    expect(one.charsets).toEqual(['utf-8', 'utf-8'])
    expect(one.shown).toHaveLength(1)
    const [, id] = /^cid:(.+)$/.exec(one.shown[0] ?? '') ?? []
    expect(one.images).toEqual({
      [`<${id}>`]: { type: 'image/jpeg', disposition: 'inline', bytes: expect.any(Number), jpeg: true },
    })
    for (const text of [one.plain, one.html]) {
      expect(text).toContain('Sørensen, Đặng Thị (山田, 太郎)')
      expect(text).toContain('épanchement pleural <b>: found (chest@1.0.0, score 0.91)')
      expect(text).toContain('Research use only. Not for diagnosis or treatment.')
    }
    expect(one.links).toHaveLength(2)
    for (const link of one.links) expect(one.plain).toContain(link)
    expect(one.headers.subject).toBe('CRITICAL RESULT: critical: épanchement pleural <b>, pneumonia')
    expect(one.headers.from).toContain('Raylog – Klinik Süd')
    expect(Math.abs(one.date * 1_000 - Date.now())).toBeLessThan(600_000)
    // A mail server on the way may be of any age.
    expect(one).toMatchObject({ bare: 0, ascii: true })
    expect(one.longest).toBeLessThanOrEqual(998)
  })

  it('without an image is text and a page; nobody answers it by a machine, and the urgent ones say so', async () => {
    const { mail, channel } = await open()
    const [delivery] = await told(channel, { address })
    const one = await read(mail.seen)
    expect(one.tree).toEqual({ 'multipart/alternative': ['text/plain', 'text/html'] })
    expect(one).toMatchObject({ defects: [], twice: [], shown: [], images: {} })
    expect(one.headers).toMatchObject({
      ...{ 'mime-version': '1.0', 'auto-submitted': 'auto-generated', 'x-auto-response-suppress': 'OOF, AutoReply' },
      'message-id': `<${delivery?.id}@h.example>`,
      'x-raylog-notification': expect.stringMatching(/^nt_/),
    })
    expect(one.headers).not.toHaveProperty('x-priority')
    expect(one.headers).not.toHaveProperty('x-raylog-redelivered')
    await told(channel, { address, event: { study: 'st_2', priority: 'stat' } })
    expect((await read(mail.seen)).headers).toMatchObject({ 'x-priority': '1 (Highest)', importance: 'High' })
  })

  it('that comes a second time has the same id, and says so to people and to programs', async () => {
    const { mail, channel } = await open(before => (before === 0 ? { code: 451, text: 'later' } : null))
    const settings = {
      channels: [{ name: 'mail', ...channel }],
      people: [{ name: 'martin', reach: [{ channel: 'mail', address }] }],
      rules: [{ name: 'all', to: ['martin'] }],
      backoffMs: 1,
    }
    const event = anAssessment(1, { completedAt: Date.now(), assessedAt: Date.now() })
    const stage = await openNotify(kit.stores, settings, { clock: systemClock })
    await stage.hand(topics.studies, event)
    await stage.close()
    expect(mail.seen).toHaveLength(2)
    const first = await read(mail.seen.slice(0, 1))
    expect((await read(mail.seen)).headers['message-id']).toBe(first.headers['message-id'])
    // Claimed, and never heard of again: as a kill leaves it.
    const [known = expect.unreachable('none')] = (await kit.stores.documents.find('deliveries')).items
    await kit.stores.documents.upsert('deliveries', [{ ...known, state: 'claimed', finishedAt: null }])
    const [notice = expect.unreachable('none')] = (await kit.stores.documents.find('notices')).items
    const targets = notice.targets.map(target => ({ ...target, state: 'waiting' as const, dueAt: 0 }))
    await kit.stores.documents.upsert('notices', [
      { ...notice, version: notice.version + 1, phase: 'sending', owner: 'gone', dueAt: 0, outcome: null, targets },
    ])
    const next = await openNotify(kit.stores, settings, { clock: systemClock })
    closing.push(() => next.close())
    await next.settled('told')
    expect(mail.seen).toHaveLength(3)
    const again = await read(mail.seen)
    expect(again.headers).toMatchObject({
      'message-id': first.headers['message-id'],
      'x-raylog-redelivered': 'true',
    })
    for (const text of [again.plain, again.html]) expect(text).toContain('This may be a repeat')
    expect(first.headers).not.toHaveProperty('x-raylog-redelivered')
  })
})

interface Sent {
  body: string
  headers: Record<string, string>
}

describe.skipIf(missing)(title('a webhook that a library of Standard Webhooks verifies'), () => {
  const coded = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const text = 'a-secret-of-sixteen-characters, ü'

  /** @returns what it says of each. */
  async function verified(asked: readonly { sent: Sent; secret?: string }[]): Promise<string[]> {
    const path = join(kit.stores.folder, 'webhooks.json')
    const lines = asked.map(({ sent: { body, headers }, secret = coded }) => ({
      ...{ secret, headers, text: !secret.startsWith('whsec_'), body: Buffer.from(body).toString('base64') },
    }))
    await writeFile(path, JSON.stringify(lines))
    return (await runPython(python, [join(fixtures, 'read_webhooks.py'), path])).trim().split('\n')
  }

  /** One of a rule and one of a prediction, as they came; the receiver takes none at the first attempt. */
  async function sent(secret: string, clock = systemClock): Promise<Sent[]> {
    const { url, received } = await receiver(undefined, headers => (headers['raylog-attempt'] === '1' ? 503 : 200))
    const settings = {
      channels: [{ name: 'hook', kind: 'webhook', url, secret }],
      people: [{ name: 'ris', reach: [{ channel: 'hook' }] }],
      rules: [{ name: 'all', on: 'prediction', findings: [{ present: null }], to: ['ris'] }],
      webhooks: [{ url, secret }],
      ...{ backoffMs: 1, attempts: clock === systemClock ? 5 : 1 },
    }
    const stage = await openNotify(kit.stores, settings, { clock })
    closing.push(() => stage.close())
    const now = clock.now()
    await stage.hand(topics.predictions, aPrediction(1, { label: 'Ödem “☢”', score: 0.9, predictedAt: now }))
    return received.map(({ body, headers }) => ({
      body,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    }))
  }

  it.each([
    ['base64', coded],
    ['text', text],
  ])('is ours, by a secret that is %s, at each attempt; of two attempts the id is one', async (_, secret) => {
    const all = await sent(secret)
    expect(all).toHaveLength(4)
    expect(await verified(all.map(one => ({ sent: one, secret })))).toEqual(['ok', 'ok', 'ok', 'ok'])
    const byId = Map.groupBy(all, ({ headers }) => headers['webhook-id'])
    expect([...byId.values()].map(copies => copies.map(({ headers }) => headers['raylog-attempt']))).toEqual([
      ['1', '2'],
      ['1', '2'],
    ])
    for (const [id, copies] of byId) {
      expect(copies.map(({ body }) => JSON.parse(body).id)).toEqual([id, id])
      expect(copies[0]?.body, 'nothing but the headers differs').toBe(copies[1]?.body)
    }
  })

  it('is turned away where anything of it is another, or the secret is', async () => {
    const [one = expect.unreachable('nothing came')] = await sent(coded)
    const withHeader = (name: string, value: string) => ({
      sent: { ...one, headers: { ...one.headers, [name]: value } },
    })
    const at = Number(one.headers['webhook-timestamp'])
    const without = Object.entries(one.headers).filter(([name]) => name !== 'webhook-timestamp')
    const no = 'No matching signature found'
    expect(
      await verified([
        { sent: one },
        { sent: one, secret: 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
        { sent: { ...one, body: one.body.replace('0.9', '0.1') } },
        { sent: { ...one, body: `${one.body} ` } },
        withHeader('webhook-id', 'dl_another'),
        withHeader('webhook-timestamp', String(at + 60)),
        { sent: { ...one, headers: Object.fromEntries(without) } },
      ]),
    ).toEqual(['ok', no, no, no, no, no, 'Missing required headers'])
  })

  it('that was recorded is too old some minutes later, and cannot be made younger', async () => {
    const clock = new HandClock(Date.now() - 301_000)
    const [old = expect.unreachable('nothing came')] = await sent(coded, clock)
    const now = String(Math.floor(Date.now() / 1_000))
    const younger = { ...old, headers: { ...old.headers, 'webhook-timestamp': now } }
    expect(await verified([{ sent: old }, { sent: younger }])).toEqual([
      'Message timestamp too old',
      'No matching signature found',
    ])
  })
})
