import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { newDelivery, type ReportDeliveryDoc } from '../schemas/report-delivery.ts'
import type { AuditEntry, Report } from '../schemas/topics.ts'
import { topics } from '../schemas/topics.ts'
import { bearer, type Started, startGateway } from '../tests/gateway/kit.ts'
import { aReport } from '../tests/harness/reports.ts'
import { until } from '../tests/harness/until.ts'

let gateway: Started
const day = Date.UTC(2026, 0, 1)
let auditedBefore = 0
/** In this test. An entry is on the log before the answer is given. */
async function audited(): Promise<AuditEntry[]> {
  const { log, codec } = gateway.ports
  const records = await log.read({ topic: topics.audit.name, partition: 0, offset: 0 }, 1_000)
  return await Promise.all(records.slice(auditedBefore).map(record => codec.decode(topics.audit, record)))
}
let made: (Report & { object: string })[] = []

const delivery = (n: number, destination: string, fields: Partial<ReportDeliveryDoc> = {}): ReportDeliveryDoc => {
  const report = made[n]
  if (!report) throw new Error(`no report ${n}`)
  return { ...newDelivery(report, destination, day), ...fields }
}
const over = { queue: null, version: 4, attempts: 1 }

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

beforeEach(async () => {
  auditedBefore += (await audited()).length
  const { documents, objects } = gateway
  made = await Promise.all([0, 1, 2, 3].map(n => aReport({ objects }, n, { at: day + n * 1_000 })))
  await documents.upsert('reports', made)
  await documents.upsert('reportQueues', [
    {
      ...{ id: 'pacs:1', destination: 'pacs', kind: 'dicom', epoch: 1, owner: null, beat: 3, updatedAt: day },
      ...{ breaker: 'closed', failingSince: null, code: null, message: null },
    },
    {
      ...{ id: 'pacs:2', destination: 'pacs', kind: 'dicom', epoch: 2, owner: 'me', beat: 3, updatedAt: day + 9 },
      ...{ breaker: 'open', failingSince: day + 5, code: 'peer-unavailable', message: 'pacs: ECONNREFUSED' },
    },
  ])
  await documents.upsert('reportDeliveries', [
    delivery(0, 'pacs', { state: 'sent', ...over, receipt: 'C-STORE 0x0000', commitment: '2.25.7', sentAt: day + 1 }),
    delivery(0, 'share', { state: 'sent', ...over }),
    delivery(1, 'pacs', { state: 'refused', ...over, code: 'peer-refused', message: 'no' }),
    delivery(2, 'pacs', { state: 'pending', at: day + 3_600_000, attempts: 5, code: 'peer-unavailable' }),
    delivery(3, 'pacs', { state: 'sending', attempts: 1 }),
  ])
  await documents.upsert('worklist', [
    {
      ...{ id: 'st_0', version: 1, site: 'main', modality: 'DX', patient: 'pt_abcdefgh', priority: 'routine', rank: 1 },
      ...{ state: 'waiting', firstAt: day, revision: 1, findings: [], missing: 0, expected: null },
    },
  ])
  await documents.upsert('commitmentsAsked', [
    {
      ...{ id: '2.25.7', version: 2, delivery: 'rd', peer: 'PACS', items: [], state: 'failed' },
      ...{ failures: [{ sopInstance: '1.2', reason: 0x0112 }], askedAt: day, answeredAt: day + 2 },
    },
  ])
})

const get = async (path: string): Promise<unknown> => (await gateway.ask(`/api/v1/${path}`)).json()
const answer = z.object({
  queued: z.int(),
  byDestination: z.record(z.string(), z.int()),
  unsent: z.int(),
  deliveries: z.array(z.string()),
})
async function resend(body: object, status = 200) {
  const response = await gateway.ask('/api/v1/reports/resend', {
    method: 'POST',
    headers: { ...bearer, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(response.status).toBe(status)
  return status === 200
    ? answer.parse(await response.json())
    : { queued: 0, byDestination: {}, unsent: 0, deliveries: [] }
}
const doc = (n: number, destination = 'pacs') => gateway.documents.get('reportDeliveries', delivery(n, destination).id)

describe('deliveries of reports', () => {
  it('are listed with why they failed, what the destination said, and what it committed to', async () => {
    expect(await get('deliveries?study=st_0&destination=pacs')).toMatchObject({
      items: [
        {
          ...{ state: 'sent', receipt: 'C-STORE 0x0000', nextAt: null },
          ...{ modality: 'DX', patient: { pseudonym: 'pt_abcdefgh' } },
          commitment: { state: 'failed', answeredAt: day + 2, reasons: [0x0112] },
        },
      ],
    })
    expect(await get('deliveries?state=pending')).toMatchObject({
      items: [
        { report: 'rp_2', code: 'peer-unavailable', remedy: expect.stringContaining('Check'), nextAt: day + 3_600_000 },
      ],
    })
    expect(await get('deliveries?study=st_1')).toMatchObject({ items: [{ modality: null, patient: null }] })
    expect(await get(`deliveries/${delivery(1, 'pacs').id}`)).toMatchObject({ state: 'refused', message: 'no' })
    expect((await gateway.ask('/api/v1/deliveries/rd_none')).status).toBe(404)
  })

  it('have a queue for each destination, by its newest term, but for one that is long gone and has nothing to send', async () => {
    const seenAt = Date.now()
    const term = { kind: 'folder', epoch: 1, owner: null, beat: 3, breaker: 'closed' as const }
    const well = { failingSince: null, code: null, message: null }
    await gateway.documents.upsert('reportQueues', [
      { ...term, ...well, id: 'gone:1', destination: 'gone', updatedAt: day },
      { ...term, ...well, id: 'idle:1', destination: 'idle', updatedAt: seenAt },
    ])
    expect(await get('deliveries/queues')).toEqual({
      items: [
        { ...well, destination: 'idle', kind: 'folder', waiting: 0, refused: 0, breaker: 'closed', seenAt },
        {
          ...{ destination: 'pacs', kind: 'dicom', waiting: 2, refused: 1, breaker: 'open', failingSince: day + 5 },
          ...{ code: 'peer-unavailable', message: 'pacs: ECONNREFUSED', seenAt: day + 9 },
        },
      ],
    })
  })
})

describe('sending reports again', () => {
  it('puts those of a study back into the queues of where they went, and says so in the audit', async () => {
    const { queued, byDestination } = await resend({ studies: ['st_0'] })
    expect({ queued, byDestination }).toEqual({ queued: 2, byDestination: { pacs: 1, share: 1 } })
    expect(await doc(0)).toMatchObject({
      ...{ state: 'pending', queue: 'pacs', resends: 1, attempts: 0, version: 5, receipt: null, commitment: null },
    })
    expect(await audited()).toEqual([
      expect.objectContaining({
        ...{ action: 'export', actor: 'token', object: 'st_0', outcome: 'success' },
        detail: { destination: 'pacs share', count: '2', reason: 'reports sent again' },
      }),
    ])
  })

  it('takes ids of reports and of deliveries, and only what is asked for of them', async () => {
    expect(await resend({ ids: ['rp_0', 'rp_1'], destination: 'pacs', state: 'refused' })).toMatchObject({
      deliveries: [delivery(1, 'pacs').id],
    })
    expect(await doc(1)).toMatchObject({ state: 'pending', code: null, message: null })
    expect(await resend({ ids: [delivery(0, 'share').id] })).toMatchObject({ byDestination: { share: 1 } })
  })

  it('does not wait any longer with what waits, and leaves alone what is on its way', async () => {
    expect(await resend({ ids: ['rp_2', 'rp_3'] })).toMatchObject({ queued: 1 })
    expect((await doc(2))?.at).toBeGreaterThan(day + 3_600_000)
    expect(await doc(3)).toMatchObject({ state: 'sending', version: 1 })
  })

  it('takes a time in which they were made, and a destination that no rule named', async () => {
    const { documents } = gateway
    await documents.delete('reportDeliveries', delivery(1, 'pacs').id)
    const from = new Date(day + 1_000).toISOString()
    expect(await resend({ from, to: day + 2_000, destination: 'pacs' })).toMatchObject({ queued: 1 })
    expect(await doc(1)).toMatchObject({ state: 'pending', queue: 'pacs', report: 'rp_1' })
    expect(await doc(0)).toMatchObject({ state: 'sent' })
  })

  it('counts first what it would do, and does nothing', async () => {
    const { documents } = gateway
    await documents.upsert('reportQueues', [
      {
        ...{ id: 'share:1', destination: 'share', kind: 'folder', epoch: 1, owner: null, beat: 3, updatedAt: day },
        ...{ breaker: 'closed', failingSince: null, code: null, message: null },
      },
    ])
    await documents.delete('reportDeliveries', delivery(3, 'pacs').id)
    const all = { from: day, to: day + 3_001, destination: ['pacs', 'share'] }
    const before = (await documents.find('reportDeliveries', { limit: 100 })).items
    const counted = await resend({ ...all, dryRun: true })
    expect(counted).toMatchObject({ queued: 8, byDestination: { pacs: 4, share: 4 }, unsent: 4 })
    expect((await documents.find('reportDeliveries', { limit: 100 })).items).toEqual(before)
    expect(await audited()).toEqual([])
    expect(await resend({ ...all, unsent: false, dryRun: true })).toMatchObject({ queued: 4, unsent: 0 })
    expect(await resend(all)).toMatchObject({ queued: 8, byDestination: { pacs: 4, share: 4 }, unsent: 4 })
    expect(await doc(3, 'share')).toMatchObject({ state: 'pending', queue: 'share' })
  })

  it('leaves alone what a newer one has replaced, unless that is asked for', async () => {
    const { documents } = gateway
    await documents.upsert('reportDeliveries', [delivery(1, 'pacs', { state: 'superseded', ...over })])
    await resend({ studies: ['st_1'] })
    expect(await doc(1)).toMatchObject({ state: 'superseded', queue: null, version: 4 })
    expect(await resend({ studies: ['st_1'], destination: 'pacs' })).toMatchObject({ queued: 0 })
    expect(await resend({ studies: ['st_1'], state: 'superseded' })).toMatchObject({ queued: 1 })
  })

  it('leaves alone, where the newest alone is kept, what has a newer one that was not refused there', async () => {
    const { documents, objects } = gateway
    const term = { epoch: 1, owner: null, beat: 3, updatedAt: day, breaker: 'closed' as const }
    const well = { failingSince: null, code: null, message: null }
    await documents.upsert(
      'reportQueues',
      (['ris', 'chart'] as const).map(destination => ({
        ...{ ...term, ...well, id: `${destination}:1`, destination, kind: 'hl7' },
      })),
    )
    const revised = await Promise.all(
      [1, 2, 3].map(revision => aReport({ objects }, 20 + revision, { study: 'st_7', revision, at: day + 50_000 })),
    )
    await documents.upsert('reports', revised)
    const to = (destination: string, state: ReportDeliveryDoc['state'][]) =>
      state.map((one, n) => {
        const report = revised[n] ?? expect.unreachable('no revision')
        return { ...newDelivery(report, destination, day), ...over, state: one, receipt: 'AA' }
      })
    const [ris, pacs] = [to('ris', ['sent', 'sent', 'refused']), to('pacs', ['sent', 'sent', 'refused'])]
    await documents.upsert('reportDeliveries', [...ris, ...pacs])
    const idOf = (some: ReportDeliveryDoc[], n: number) => some[n]?.id ?? ''
    const asked = { studies: ['st_7'], unsent: false }
    const expected = { queued: 5, byDestination: { ris: 2, pacs: 3 } }
    expect(await resend({ ...asked, dryRun: true })).toMatchObject(expected)
    // Of what never went there, the same count before and after.
    const first = { studies: ['st_7'], destination: 'chart' }
    expect(await resend({ ...first, dryRun: true })).toMatchObject({ queued: 1, unsent: 1 })
    expect(await resend(first)).toMatchObject({ queued: 1, unsent: 1 })

    expect(await resend(asked)).toMatchObject({ queued: 6, byDestination: { ris: 2, pacs: 3, chart: 1 } })
    expect(await documents.get('reportDeliveries', idOf(ris, 0))).toMatchObject({ state: 'sent', receipt: 'AA' })
    for (const n of [1, 2])
      expect(await documents.get('reportDeliveries', idOf(ris, n))).toMatchObject({ state: 'pending', resends: 1 })
    expect(await documents.get('reportDeliveries', idOf(pacs, 0))).toMatchObject({ state: 'pending' })
  })

  it('counts no further where nobody waits for the number', async () => {
    const { documents } = gateway
    const { find } = documents
    let pages = 0
    // Reports without end.
    const spy = vi.spyOn(documents, 'find').mockImplementation(async (collection, query) => {
      if (collection !== 'reports') return find(collection, query)
      pages++
      await new Promise(setImmediate)
      return { ...(await find(collection, { limit: 1 })), next: 'more' }
    })
    try {
      const abort = new AbortController()
      const counting = gateway.ask('/api/v1/reports/resend', {
        ...{ method: 'POST', headers: { ...bearer, 'content-type': 'application/json' }, signal: abort.signal },
        body: JSON.stringify({ from: 0, dryRun: true }),
      })
      const gone = expect(counting).rejects.toThrow('aborted')
      await until('it counts', () => pages > 2)
      abort.abort()
      await gone
      await until('it has stopped', async () => {
        const before = pages
        for (let times = 0; times < 10; times++) await get('deliveries/queues')
        return pages === before
      })
    } finally {
      spy.mockRestore()
    }
  })

  it('says what it cannot do', async () => {
    await resend({}, 400)
    await resend({ destination: 'pacs' }, 400)
    await resend({ ids: ['rp_0'], destination: 'nowhere' }, 400)
    await resend({ ids: ['rp_0'], destination: ['pacs', 'nowhere'] }, 400)
    await resend({ from: 'yesterday' }, 400)
    expect(await audited()).toEqual([])
  })
})
