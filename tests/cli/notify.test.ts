/** What the tester of rules says on the command line: the real command, a real Raylog, a mail server that must hear of nothing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSqliteDocuments } from '../../storage/sqlite-documents.ts'
import { anAssessment, aPrediction, began } from '../gateway/samples.ts'
import { command } from '../harness/command.ts'
import { type MailServer, startMail } from '../harness/mail.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'

/** Thursday, 1 January 2026, at noon (UTC), which is one o'clock in Paris. */
const noon = began + 12 * 3_600_000
const recent = { completedAt: noon, assessedAt: noon }
const finding = anAssessment(1).findings[0] ?? expect.unreachable('no finding')

const people = [
  { name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }, { channel: 'page' }] },
  { name: 'nina', reach: [{ channel: 'mail', address: 'nina@h.example' }] },
  {
    name: 'quincy',
    reach: [{ channel: 'mail', address: 'quincy@h.example' }],
    quiet: [{ from: '11:00', to: '13:30' }],
  },
  { name: 'chief', reach: [{ channel: 'mail', address: 'chief@h.example' }] },
]
const roles = [
  { name: 'on-call', shifts: [{ from: '08:00', to: '18:00', people: ['martin'] }, { people: ['nina'] }] },
  { name: 'weekend', shifts: [{ days: ['sat', 'sun'], people: ['chief'] }] },
]
const pneumonia = [{ labels: ['pneumonia'], minScore: 0.9 }]
const rules = [
  { name: 'found', findings: pneumonia, to: ['on-call'] },
  { name: 'sure', findings: [{ labels: ['pneumonia'], minScore: 0.95 }], to: ['on-call'] },
  { name: 'absent', findings: [{ labels: ['effusion'] }], to: ['on-call'] },
  { name: 'stat', priorities: ['stat'], to: ['on-call'] },
  { name: 'north', sites: ['north'], to: ['on-call'] },
  { name: 'next', models: ['chest@2.0.0'], to: ['on-call'] },
  { name: 'night', hours: [{ from: '22:00', to: '06:00' }], to: ['on-call'] },
  { name: 'rested', findings: pneumonia, to: ['quincy', 'weekend'] },
  {
    name: 'critical',
    findings: pneumonia,
    to: ['quincy'],
    acknowledge: { withinMs: 600_000, chain: ['on-call', 'chief'] },
  },
  { name: 'image', on: 'prediction', findings: pneumonia, to: ['nina'] },
]

describe('raylog notify test, beside a running Raylog', { timeout: 120_000 }, () => {
  const data = mkdtempSync(join(tmpdir(), 'raylog-cli-notify-'))
  let mail: MailServer
  let raylog: Raylog

  beforeAll(async () => {
    mail = await startMail()
    const documents = await openSqliteDocuments({ folder: join(data, 'documents') })
    const stat = { ...recent, priority: 'stat' as const, site: 'north' }
    const other = [{ ...finding, label: 'effusion', model: 'chest@2.0.0' }]
    await documents.upsert('assessments', [
      anAssessment(1, recent),
      anAssessment(2, { ...stat, findings: other }),
      anAssessment(1, { ...recent, id: 'sr_later', revision: 2 }),
    ])
    await documents.upsert('predictions', [
      aPrediction(1, { label: 'pneumonia', score: 0.97, predictedAt: noon, study: 'st_0009' }),
    ])
    await documents.close()
    const channels = [
      { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
      { name: 'page', kind: 'live' },
    ]
    const webhooks = [
      { name: 'ward', url: 'http://127.0.0.1:1/token', secret: 'a-secret-of-sixteen', labels: ['pneumonia'] },
      { name: 'other', url: 'http://127.0.0.1:1/other', secret: 'a-secret-of-sixteen', minScore: 0.98 },
    ]
    const timeZones = { north: 'Europe/Paris' }
    const settings = Object.entries({ channels, people, roles, rules, webhooks, timeZones })
    raylog = await startRaylog({
      data,
      set: ['logLevel=warn', ...settings.map(([name, value]) => `notify.${name}=${JSON.stringify(value)}`)],
      args: ['--stages', 'notify,gateway'],
    })
  }, 120_000)
  afterAll(async () => {
    await raylog?.[Symbol.asyncDispose]()
    await mail?.[Symbol.asyncDispose]()
    rmSync(data, { recursive: true, force: true })
  })

  const asked = (...args: string[]) => command(['--data', data, 'notify', 'test', ...args])
  /** Lines of each rule, with single spaces. */
  async function said(id: string, at: string) {
    const { code, stdout, stderr } = await asked(id, '--at', at)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.split('\n').map(line => line.trim().replace(/ +/g, ' '))
    const rule = (name: string) => {
      const from = lines.findIndex(line => line.startsWith(`rule ${name} `))
      const length = lines.slice(from + 1).findIndex(line => /^(rule |webhook |$)/.test(line))
      return lines.slice(from, from + 1 + length)
    }
    return { lines, rule }
  }

  it('says of each rule whether it fits, to whom it would go by which channel, and if not, because of what', async () => {
    const { lines, rule } = await said('sr_0001', '2026-01-01T12:00:00Z')
    expect(lines[0]).toBe('study sr_0001 of st_0001')
    expect(lines).toContain('Nothing was sent.')
    expect(rule('found')).toEqual([
      'rule found fits pneumonia',
      'to martin by mail (email)',
      'to martin by page (live)',
    ])
    expect(rule('sure')).toEqual(['rule sure does not fit', 'because findings: none fits'])
    expect(rule('absent')).toEqual(['rule absent does not fit', 'because findings: none fits'])
    expect(rule('stat')).toEqual(['rule stat does not fit', 'because priorities: urgent'])
    expect(rule('north')).toEqual(['rule north does not fit', 'because sites: main'])
    expect(rule('next')).toEqual(['rule next does not fit', 'because models: said by chest@1.0.0'])
    expect(rule('night')).toEqual(['rule night does not fit', 'because hours: it is 1 Jan 2026, 12:00 (UTC)'])
    expect(rule('image')).toEqual(['rule image does not fit', 'because on: the event is a study'])
  })

  it('says who waits for the end of quiet hours, who has no one on duty, and who is next where nobody answers', async () => {
    const { rule } = await said('sr_0001', '2026-01-01T12:00:00Z')
    expect(rule('rested')).toEqual([
      'rule rested fits pneumonia',
      'to quincy by mail (email), at 2026-01-01T13:30:00.000Z: quiet-hours',
      'nobody has the role weekend now',
    ])
    expect(rule('critical'), 'knows no quiet hours').toEqual([
      'rule critical fits critical: pneumonia',
      'to quincy by mail (email)',
      'then on-call, 600 s later unless acknowledged',
      'then chief, 1200 s later unless acknowledged',
    ])
  })

  it('tries the rota, the hours and the quiet hours at another time, in the time zone of the site', async () => {
    const night = await said('sr_0001', '2026-01-01T23:30:00Z')
    expect(night.rule('found')).toEqual(['rule found fits pneumonia', 'to nina by mail (email)'])
    expect(night.rule('night')[0]).toBe('rule night fits pneumonia')
    expect(night.rule('rested')).toContain('to quincy by mail (email)')
    const north = await said('sr_0002', '2026-01-01T21:30:00Z')
    expect(north.rule('night')[0], 'half past ten in Paris').toMatch(/^rule night fits/)
    for (const one of ['stat', 'north', 'next', 'absent']) expect(north.rule(one)[0]).toMatch(/^rule \w+ fits/)
    expect(north.rule('stat')).toContain('to nina by mail (email)')
    expect(north.rule('found')).toEqual(['rule found does not fit', 'because findings: none fits'])
    const saturday = await said('sr_0001', '2026-01-03T12:00:00+01:00')
    expect(saturday.rule('found')).toContain('because maxAgeMs: it is 169200 s old')
  })

  it('of a study means its newest revision; of a prediction, webhooks too', async () => {
    const study = await said('st_0001', '2026-01-01T12:00:00Z')
    expect(study.lines[0]).toBe('study sr_later of st_0001')
    const { lines, rule } = await said('pr_0001', '2026-01-01T12:00:00Z')
    expect(lines[0]).toBe('prediction pr_0001 of st_0009')
    expect(rule('image')).toEqual(['rule image fits pneumonia', 'to nina by mail (email)'])
    expect(rule('found')).toContain('because on: the event is a prediction')
    expect(lines).toContain('webhook ward is told')
    expect(lines).toContain('webhook other is not')
    expect(lines.join('\n'), 'a URL holds a token').not.toContain('127.0.0.1:1')
  })

  it('as JSON says the same, now where no time is given', async () => {
    const { code, stdout } = await asked('sr_0001', '--json')
    expect(code).toBe(0)
    const [one] = JSON.parse(stdout)
    expect(one.rules.map(({ rule, matches }: { rule: string; matches: boolean }) => [rule, matches])).toEqual(
      rules.map(({ name }) => [name, false]),
    )
    expect(one.rules[0].checks).toContainEqual({ what: 'maxAgeMs', ok: false, why: expect.stringMatching(/s old/) })
  })

  it('ends with 1 and says why for what is not there, and for what is no time', async () => {
    const nothing = await asked('sr_none')
    expect(nothing.code).toBe(1)
    expect(nothing.stderr).toContain('There is no such event, image or study.')
    const never = await asked('sr_0001', '--at', 'yesterday')
    expect(never.code).toBe(1)
    expect(never.stderr).toContain('--at yesterday is no time.')
  })

  it('has told nobody, and kept nothing', async () => {
    expect(mail.mails).toEqual([])
    expect(await raylog.json('/api/v1/notifications')).toMatchObject({ items: [] })
    expect(raylog.logs()).toBe('')
  })
})
