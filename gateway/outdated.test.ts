/** Reports sent again of which a newer version is there. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { newDelivery, type ReportDeliveryDoc } from '../schemas/report-delivery.ts'
import { type AuditEntry, type Report, topics } from '../schemas/topics.ts'
import { bearer, type Started, startGateway } from '../tests/gateway/kit.ts'
import { aReport } from '../tests/harness/reports.ts'

const day = Date.UTC(2026, 0, 1)
const audited: AuditEntry[] = []
let gateway: Started
let study = 0
/** Three revisions of one report. */
let made: (Report & { object: string })[]

beforeAll(async () => {
  gateway = await startGateway()
  gateway.ports.tail.listen(topics.audit, entry => audited.push(entry))
  const kinds = { ris: 'hl7', fhir: 'fhir', chart: 'hl7', share: 'folder', pacs: 'dicom' }
  await gateway.documents.upsert(
    'reportQueues',
    Object.entries(kinds).map(([destination, kind]) => ({
      ...{ id: `${destination}:1`, destination, kind, epoch: 1, owner: null, beat: 3, updatedAt: day },
      ...{ breaker: 'closed', failingSince: null, code: null, message: null },
    })),
  )
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

beforeEach(async () => {
  audited.length = 0
  study++
  made = await Promise.all(
    [1, 2, 3].map(revision =>
      aReport(gateway, study * 10 + revision, { study: `st_${study}`, revision, format: 'hl7', at: day + study }),
    ),
  )
  await gateway.documents.upsert('reports', made)
})

/** One state for each revision from the first on. */
async function sentTo(destination: string, ...states: ReportDeliveryDoc['state'][]): Promise<ReportDeliveryDoc[]> {
  const deliveries = states.map((state, n): ReportDeliveryDoc => {
    const report = made[n] ?? expect.unreachable('no such revision')
    const isOver = state !== 'pending' && state !== 'sending'
    const took = state === 'sent' ? { receipt: `AA ${n}`, sentAt: day + n } : {}
    const over = isOver ? { version: 4, queue: null, attempts: 1 } : {}
    return { ...newDelivery(report, destination, day), state, ...over, ...took }
  })
  await gateway.documents.upsert('reportDeliveries', deliveries)
  return deliveries
}
const now = (delivery: ReportDeliveryDoc | undefined) =>
  gateway.documents.get('reportDeliveries', delivery?.id ?? 'none')

const post = (body: object) =>
  gateway.ask('/api/v1/reports/resend', {
    method: 'POST',
    headers: { ...bearer, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const answer = z.object({ queued: z.int(), unsent: z.int(), byDestination: z.record(z.string(), z.int()) })
async function resend(body: object) {
  const response = await post(body)
  expect(response.status).toBe(200)
  return answer.parse(await response.json())
}
const problem = z.object({
  status: z.literal(409),
  code: z.literal('outdated'),
  detail: z.string(),
  remedy: z.string(),
})
const refusal = async (body: object) => problem.parse(await (await post(body)).json())

describe('a report that is outdated at a destination that keeps the newest alone', () => {
  it('is refused by the id of its delivery, with the newer one and where it goes; what was said of it stays', async () => {
    const [first, second] = await sentTo('ris', 'sent', 'sent')
    const { detail, remedy } = await refusal({ ids: [first?.id] })
    expect(detail).toBe(
      `Nothing was sent. Revision 1 of the hl7 report (${made[0]?.id}) is outdated at ris: revision 2 is there. Send ${made[1]?.id} to ris instead.`,
    )
    expect(remedy).toContain('raylog reports resend ID --destination NAME')
    expect(await now(first)).toEqual(first)
    expect(audited).toEqual([])
    // As it says.
    expect(await resend({ ids: [made[1]?.id], destination: 'ris' })).toMatchObject({ queued: 1 })
    expect(await now(second)).toMatchObject({ state: 'pending', resends: 1 })
  })

  it.each(['pending', 'sending', 'superseded'] as const)('is refused while the newer one is %s', async state => {
    const [first] = await sentTo('fhir', 'superseded', state)
    expect((await refusal({ ids: [first?.id] })).detail).toContain('revision 2 took its place. Send')
    expect(await now(first)).toEqual(first)
  })

  it('is refused by its own id, also where it never went, and nothing else that was asked for is sent', async () => {
    const [first] = await sentTo('share', 'sent')
    await sentTo('ris', 'sent', 'sent', 'sent')
    for (const more of [{}, { dryRun: true }, { destination: ['share', 'ris'] }])
      expect((await refusal({ ids: [made[0]?.id], ...more })).detail).toContain('outdated at ris: revision 3 is there')
    const ofStudy = () => gateway.documents.count('reportDeliveries', { study: `st_${study}` })
    const before = await ofStudy()
    expect((await refusal({ ids: made.map(({ id }) => id), destination: 'chart' })).detail).toContain(
      'outdated at chart',
    )
    expect(await ofStudy()).toBe(before)
    expect(await now(first)).toEqual(first)
    expect(audited).toEqual([])
    // Where it may go it goes.
    expect(await resend({ ids: [made[0]?.id], destination: 'share' })).toMatchObject({ byDestination: { share: 1 } })
  })

  it('is sent where the newer one was refused there, or the state that is asked for is not its own', async () => {
    const [first] = await sentTo('ris', 'sent', 'refused')
    expect(await resend({ ids: [first?.id] })).toMatchObject({ queued: 1 })
    const [older] = await sentTo('fhir', 'sent', 'sent')
    expect(await resend({ ids: [older?.id], state: 'refused' })).toMatchObject({ queued: 0 })
  })
})

describe('an older version', () => {
  it('goes again to a place that keeps all of them, and what was said of each sending is kept', async () => {
    const [first] = await sentTo('pacs', 'sent', 'sent')
    const transaction = { id: `2.25.${study}`, version: 2, delivery: first?.id ?? '', peer: 'PACS', items: [] }
    const answered = { state: 'kept' as const, failures: [], askedAt: day, answeredAt: day + 7 }
    await gateway.documents.upsert('commitmentsAsked', [{ ...transaction, ...answered }])
    if (first) await gateway.documents.upsert('reportDeliveries', [{ ...first, commitment: transaction.id }])
    expect(await resend({ ids: [first?.id] })).toMatchObject({ byDestination: { pacs: 1 } })
    expect(await resend({ ids: [made[0]?.id] })).toMatchObject({ byDestination: { pacs: 1 } })
    const view = await (await gateway.ask(`/api/v1/deliveries/${first?.id}`)).json()
    expect(view).toMatchObject({
      ...{ state: 'pending', revision: 1, resends: 2, receipt: null, sentAt: null, commitment: null },
      earlier: [{ sentAt: day, receipt: 'AA 0', commitment: { state: 'kept', answeredAt: day + 7, reasons: [] } }],
    })
  })

  it('does not go to a place for the first time where the newest alone is kept, though the newer one is pages away', async () => {
    const from = Date.UTC(2027, 0, 1)
    const at = (n: number) => from + n * 1_000
    const revised = await Promise.all(
      [1, 2].map(revision =>
        aReport(gateway, 5_000 + revision, {
          study: 'st_far',
          revision,
          format: 'hl7',
          at: at(revision === 1 ? 0 : 250),
        }),
      ),
    )
    const others = await Promise.all(
      Array.from({ length: 210 }, (_, n) => aReport(gateway, 6_000 + n, { format: 'hl7', at: at(n + 1) })),
    )
    await gateway.documents.upsert('reports', [...revised, ...others])
    const asked = { from, destination: 'chart' }
    expect(await resend({ ...asked, to: at(250), dryRun: true })).toMatchObject({ queued: 211, unsent: 211 })
    expect(await resend({ ...asked, destination: 'fhir', dryRun: true })).toMatchObject({ queued: 211, unsent: 211 })
    expect(await resend({ ...asked, destination: 'fhir' })).toMatchObject({ queued: 211, unsent: 211 })
    const [older, newer] = revised.map(report => newDelivery(report, 'fhir', day))
    expect([await now(older), await now(newer)]).toMatchObject([{ queue: null }, { state: 'pending', queue: 'fhir' }])
    expect(await resend({ ...asked, destination: 'share', dryRun: true })).toMatchObject({ queued: 212, unsent: 212 })
  })
})
