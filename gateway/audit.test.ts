import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../consumers/audit/stage.ts'
import { type Audited, auditEntry } from '../schemas/audit.ts'
import { topics } from '../schemas/topics.ts'
import { type Started, startGateway } from '../tests/gateway/kit.ts'
import { anInstance, aReport, aStudy } from '../tests/gateway/samples.ts'
import { openForTest } from '../tests/harness/stage.ts'
import { until } from '../tests/harness/until.ts'

let gateway: Started
beforeAll(async () => {
  gateway = await startGateway({ peers: [{ name: 'pacs', aeTitle: 'PACS', host: '10.0.0.7', services: [] }] })
})
afterAll(() => gateway[Symbol.asyncDispose]())

async function entries() {
  const { log, codec } = gateway.ports
  const records = await log.read({ topic: topics.audit.name, partition: 0, offset: 0 }, 100)
  return Promise.all(records.map(record => codec.decode(topics.audit, record)))
}

const rejected: Audited = {
  ...{ action: 'association-rejected', actor: 'EVIL', object: 'RAYLOG', outcome: 'failure', address: '10.0.0.9' },
  detail: { reason: 'calling AE title is not that of a peer' },
}
const received: Audited = {
  ...{ action: 'instances-received', actor: 'CT1', object: 'st_1', outcome: 'success', address: '10.0.0.5' },
  detail: { study: '1.2.3', patient: 'pt_1' },
}

describe('the audit', () => {
  it('is kept by its stage, once however often it comes, and listed by what and who and when', async () => {
    const stage = await openForTest(audit, gateway.ports)
    const entries = Array.from({ length: 5 }, (_, n) => auditEntry(n % 2 ? received : rejected, 1_000 + n, String(n)))
    for (const entry of [...entries, ...entries]) await stage.hand(topics.audit, entry)
    await stage.close()
    const list = async (query: string) => {
      const answer = await gateway.ask(`/api/v1/audit?${query}`)
      return (await answer.json()) as { items: { id: string; at: number }[]; next: string | null }
    }
    const times = async (query: string) => (await list(query)).items.map(({ at }) => at)
    expect(await times('')).toEqual([1_004, 1_003, 1_002, 1_001, 1_000])
    expect(await times('outcome=failure')).toEqual([1_004, 1_002, 1_000])
    expect(await times('patient=pt_1&from=1002')).toEqual([1_003])
    expect(await times('actor=CT1&study=1.2.3&to=1003')).toEqual([1_001])
    const first = await list('limit=3')
    expect((await list(`limit=3&cursor=${first.next}`)).items.map(({ at }) => at)).toEqual([1_001, 1_000])
    expect((await gateway.ask('/api/v1/audit?outcome=perhaps')).status).toBe(400)
  })

  it('hears of who has studies pulled, and of who has that pause, go on and end, each once', async () => {
    const post = (path: string, body?: object) =>
      gateway.ask(`/api/v1/retrievals${path}`, {
        method: 'POST',
        headers: { ...(body && { 'content-type': 'application/json' }), 'idempotency-key': 'the same one' },
        ...(body && { body: JSON.stringify(body) }),
      })
    const body = { peer: 'pacs', studies: ['1.2.3'], accessionNumbers: ['SECRET-1', 'SECRET-2'], priors: null }
    const { id } = (await (await post('', body)).json()) as { id: string }
    expect((await post('', body)).status).toBe(201)
    for (const action of ['pause', 'pause', 'resume', 'cancel', 'cancel']) await post(`/${id}/${action}`)
    expect((await post(`/${id}/resume`)).status).toBe(400)
    const told = await until('all of it is on the log', async () => {
      const all = (await entries()).filter(({ object }) => object === id)
      return all.length >= 4 ? all : undefined
    })
    expect(told.map(({ action, detail }) => [action, detail.reason])).toEqual([
      ['retrieval-asked', '1 studies, 2 accession numbers'],
      ['retrieval-changed', 'pause'],
      ['retrieval-changed', 'resume'],
      ['retrieval-changed', 'cancel'],
    ])
    for (const one of told)
      expect(one).toMatchObject({ actor: 'token', address: '127.0.0.1', detail: { peer: 'pacs' } })
    expect(JSON.stringify(told)).not.toContain('SECRET')
  })

  it('hears of who comes without the token, of who reads it, and of downloads', async () => {
    const object = await gateway.objects.put(Buffer.from('an image'), 'application/dicom')
    const report = await gateway.objects.put(Buffer.from('%PDF-1.7'), 'application/pdf')
    await gateway.documents.upsert('instances', [anInstance(1, { object, study: 'st_0001', patient: 'pt_7' })])
    await gateway.documents.upsert('studies', [aStudy(1, { studyUid: '1.2.3', patient: 'pt_7' })])
    await gateway.documents.upsert('reports', [aReport(1, { object: report.key, bytes: report.bytes })])
    for (const path of ['instances/in_0001', 'reports/rp_0001'])
      expect((await (await gateway.ask(`/api/v1/${path}/object`)).text()).length).toBeGreaterThan(0)
    for (let i = 0; i < 3; i++)
      await gateway.ask('/api/v1/instances', { headers: { authorization: 'Bearer something-else' } })
    await gateway.ask('/api/v1/audit')
    const told = await until('all of it is on the log', async () => {
      const all = await entries()
      const wanted = ['security-alert', 'audit-log-used', 'instances-sent', 'export']
      return wanted.every(action => all.some(one => one.action === action)) ? all : undefined
    })
    const alerts = told.filter(({ action }) => action === 'security-alert')
    expect(alerts).toMatchObject([{ actor: '(none)', outcome: 'failure', detail: { reason: 'not the token' } }])
    const downloads = told.filter(({ action }) => ['instances-sending', 'instances-sent', 'export'].includes(action))
    expect(downloads.sort((a, b) => (a.action < b.action ? -1 : 1))).toMatchObject([
      { action: 'export', object: '1.2.3', outcome: 'success', detail: { patient: 'pt_7', report: 'pdf' } },
      { action: 'instances-sending', object: 'st_0001', detail: { patient: 'pt_7' } },
      { action: 'instances-sent', object: 'st_0001', outcome: 'success', detail: { patient: 'pt_7' } },
    ])
    expect(JSON.stringify(told)).not.toContain('something-else')
  })
})
