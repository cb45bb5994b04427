/**
 * Who an image is of is told only where both the platform and the channel allow names, and then the name alone: the whole of what
 * each channel sends is searched, as its receiver reads it. So is what is kept and logged of it.
 */
import { readFileSync } from 'node:fs'
import { globalAgent } from 'node:https'
import { join } from 'node:path'
import pino from 'pino'
import { beforeEach, describe, expect, it } from 'vitest'
import type { PatientIdentity } from '../../schemas/patient.ts'
import { topics } from '../../schemas/topics.ts'
import { anInstance, aPrediction, began } from '../../tests/gateway/samples.ts'
import { makeAuthority } from '../../tests/harness/certificates.ts'
import { channelTests } from '../../tests/harness/channels.ts'
import { imageFile } from '../../tests/harness/dicom-node.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { startHl7 } from '../../tests/harness/hl7-receiver.ts'
import { everyReading, startMail } from '../../tests/harness/mail.ts'
import { openNotify } from '../../tests/harness/notify.ts'
import { pushBrowser } from '../../tests/harness/push-browser.ts'

const kit = channelTests()
const { closing, receiver, told } = kit

const identity: PatientIdentity = {
  name: 'Zylberquist^Ottoline^Wrenfield^Professorx^Esquirex=山田^太郎=やまだ^たろう',
  ...{ patientId: 'MRN-778812', issuer: 'HOSPITAL-NORTH-9', birthDate: '19510203', sex: 'F', accession: 'ACC-5521-X' },
}
const parts = ['Zylberquist', 'Ottoline', 'Wrenfield', 'Professorx', 'Esquirex', '山田', '太郎', 'やまだ', 'たろう']
/** On a line for people: without how it is pronounced. */
const onALine = parts.slice(0, 7)
/** Of a date as any of them may be written; none is carried by any channel, whatever the settings say. */
const dates = ['19510203', '1951-02-03', '1951/02/03', '03.02.1951', '03/02/1951', '02/03/1951']
const never = ['MRN-778812', 'HOSPITAL-NORTH-9', 'ACC-5521-X', ...dates]
const pseudonym = 'pt_canary'

const foundIn = (text: string, words: readonly string[]) =>
  words.filter(word => text.toLowerCase().includes(word.toLowerCase()))

beforeEach(async () => {
  const { documents, secrets, objects } = kit.stores
  const sealed = secrets.seal(JSON.stringify(identity), pseudonym)
  await documents.insert('patients', { id: pseudonym, site: 'main', sealed })
  // The image of a mail is made of a file that says all of it.
  const file = imageFile({
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Zylberquist^Ottoline^Wrenfield^Professorx^Esquirex' }] },
    '00100020': { vr: 'LO', Value: ['MRN-778812'] },
    '00100030': { vr: 'DA', Value: ['19510203'] },
  })
  const object = await objects.put(file, 'application/dicom')
  await documents.insert('instances', anInstance(1, { object, study: 'st_0001', patient: pseudonym }))
})

/** What a channel needs, and all of what came of it, as its receiver reads it. */
type Way = () => Promise<{ channel: object; address?: string; came(): string }>

/** What a server says that did not take it: with all that it was sent, as some do. */
const quoting = (text: string) => text.replace(/[^\x20-\x7e]/g, ' ').slice(0, 60_000)

const posted =
  (kind: string, more: object = {}, status = 200): Way =>
  async () => {
    const { url, received } = await receiver(undefined, () => status, quoting)
    const came = () => received.map(({ body, headers }) => `${JSON.stringify(headers)}\n${body}`).join('\n')
    return { channel: { kind, url, ...more }, came }
  }
const secret = 'a-secret-of-sixteen'
const mailed =
  (refuses: boolean): Way =>
  async () => {
    const mail = await startMail({}, (_before, raw) =>
      refuses ? { code: 550, text: quoting(raw).slice(0, 900) } : null,
    )
    closing.push(() => mail[Symbol.asyncDispose]())
    const channel = { kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' }
    return { channel: { ...channel, image: true }, address: 'martin@h.example', came: () => everyReading(mail.seen) }
  }
const overMllp =
  (code: 'AA' | 'AR'): Way =>
  async () => {
    const hl7 = await startHl7(code, quoting)
    closing.push(() => hl7[Symbol.asyncDispose]())
    return { channel: { kind: 'hl7', host: '127.0.0.1', port: hl7.port }, came: () => hl7.messages.join('\n') }
  }
const pushed: Way = async () => {
  const authority = makeAuthority(join(kit.stores.folder, 'ca'))
  globalAgent.options.ca = readFileSync(authority.caFile)
  closing.push(async () => {
    delete globalAgent.options.ca
    globalAgent.destroy()
  })
  const { url, received } = await receiver(authority, () => 201)
  const read = await pushBrowser(kit.stores, { endpoint: url, person: 'martin' })
  const came = () =>
    received.map(({ bytes, headers }) => JSON.stringify([headers, bytes.toString('latin1'), read(bytes)])).join('\n')
  return { channel: { kind: 'push', contact: 'mailto:it@h.example' }, came }
}
/** What is on the log is read by whoever may read the log. */
const live: Way = async () => ({ channel: { kind: 'live' }, came: () => JSON.stringify(kit.opened[0]?.steps) })

const ways: Record<string, { way: Way; carries: readonly string[] }> = {
  email: { way: mailed(false), carries: onALine },
  webhook: { way: posted('webhook', { secret }), carries: onALine },
  slack: { way: posted('slack'), carries: onALine },
  discord: { way: posted('discord'), carries: onALine },
  teams: { way: posted('teams'), carries: onALine },
  push: { way: pushed, carries: onALine },
  hl7: { way: overMllp('AA'), carries: parts },
  live: { way: live, carries: [] },
}
const settings = [
  { where: 'neither the channel nor the platform allows names', names: false, showNames: false },
  { where: 'the channel alone allows names', names: true, showNames: false },
  { where: 'the platform alone allows names', names: false, showNames: true },
  { where: 'both allow names', names: true, showNames: true },
]

/** Everything that stays behind: documents, the log, audit, and what was counted. */
async function kept(): Promise<string> {
  const { documents, metrics } = kit.stores
  const [notices, deliveries] = await Promise.all([documents.find('notices'), documents.find('deliveries')])
  const said = kit.opened.map(({ steps, audit }) => ({ steps, audit }))
  return JSON.stringify([notices, deliveries, said, await metrics.registry.metrics()])
}

describe.each(Object.entries(ways))('%s', (kind, { way, carries }) => {
  it.each(settings)('where $where, carries no more than that', async ({ names, showNames }) => {
    const { channel, came, address } = await way()
    const event = { patient: pseudonym, images: ['in_0001'] }
    const options = { event, showNames, rule: { acknowledge: {} }, ...(address && { address }) }
    expect(await told({ ...channel, names }, options)).toMatchObject([{ state: 'sent' }])
    const text = came()
    expect(text, 'it came').toContain('pneumonia')
    expect(foundIn(text, parts)).toEqual(names && showNames ? carries : [])
    expect(foundIn(text, never)).toEqual([])
    // HL7 names a patient by an identifier that tells nobody who it is (PID-3), where it has a PID at all.
    expect(text.includes(pseudonym)).toBe(kind === 'hl7' && names && showNames)
    expect(foundIn(await kept(), [...parts, ...never])).toEqual([])
  })
})

describe('a receiver that does not take it, and says so with all that it was sent,', () => {
  it.each(
    Object.entries({
      email: mailed(true),
      webhook: posted('webhook', { secret }, 400),
      slack: posted('slack', {}, 400),
      hl7: overMllp('AR'),
    }),
  )('by %s, has nobody named in what is kept or logged', async (_, way) => {
    const { channel, came, address } = await way()
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: line => lines.push(line) })
    const options = { event: { patient: pseudonym }, showNames: true, logger, ...(address && { address }) }
    expect(await told({ ...channel, names: true }, options)).toMatchObject([{ state: 'failed' }])
    expect(foundIn(came(), parts), 'it was sent').toContain('Zylberquist')
    expect(foundIn(`${await kept()} ${lines.join()}`, [...parts, ...never])).toEqual([])
  })
})

describe('a webhook of each prediction', () => {
  it.each([false, true])('carries the pseudonym only where it may (%s), and never a name', async includePseudonym => {
    const { url, received } = await receiver()
    const stage = await openNotify(
      kit.stores,
      { webhooks: [{ url, secret, includePseudonym, includeRegions: true, includeTimings: true }] },
      { clock: new HandClock(began), showNames: true },
    )
    closing.push(() => stage.close())
    await stage.hand(topics.predictions, aPrediction(1, { patient: pseudonym }))
    const [{ body = '', headers = {} } = {}] = received
    expect(body).toContain('in_0001')
    expect(body.includes(pseudonym)).toBe(includePseudonym)
    expect(foundIn(JSON.stringify(headers) + body, [...parts, ...never])).toEqual([])
  })
})
