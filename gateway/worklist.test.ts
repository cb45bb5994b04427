import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ids } from '../schemas/ids.ts'
import { newDelivery, type ReportDeliveryState } from '../schemas/report-delivery.ts'
import { topics } from '../schemas/topics.ts'
import { joined, type Started, startGateway } from '../tests/gateway/kit.ts'
import {
  aDelivery,
  aLine,
  anAssessment,
  anInstance,
  aPrediction,
  aReport,
  aStudy,
  began,
} from '../tests/gateway/samples.ts'

let gateway: Started

beforeAll(async () => {
  gateway = await startGateway()
  const { documents } = gateway
  await documents.upsert('studies', [
    ...Array.from({ length: 8 }, (_, n) => aStudy(n, n < 3 ? { patient: 'pt_1' } : {})),
  ])
  const lines = [
    aLine(0, { priority: 'routine', firstAt: began + 1 }),
    aLine(1, { priority: 'urgent', firstAt: began + 5, patient: 'pt_1', findings: ['chest: pneumonia'], expected: 2 }),
    aLine(2, { priority: 'stat', firstAt: began + 9 }),
    aLine(3, { priority: 'urgent', firstAt: began + 2, state: 'gathering', revision: 0 }),
    aLine(4, { priority: 'stat', firstAt: began, state: 'reviewed' }),
    aLine(5, { priority: 'routine', firstAt: began }),
  ]
  for (const line of lines) await documents.insert('worklist', line)
  await documents.upsert('instances', [anInstance(1), anInstance(11)])
  await documents.upsert('predictions', [
    ...[aPrediction(1), aPrediction(11, { role: 'canary' })],
    ...[aPrediction(21, { role: 'shadow' }), aPrediction(31, { role: 'replay', replay: 'rr_1' })],
  ])
  await documents.upsert('reports', [aReport(1)])
  await documents.upsert('deliveries', [aDelivery(1), aDelivery(11, { state: 'failed' })])
  const toSystem = (state: ReportDeliveryState) => ({
    ...newDelivery({ ...aReport(1), object: 'aa/bb' }, state, began),
    state,
  })
  await documents.upsert(
    'reportDeliveries',
    (['sent', 'refused', 'pending', 'sending', 'superseded'] as const).map(toSystem),
  )
  await documents.upsert('assessments', [
    anAssessment(1),
    anAssessment(1, { id: 'sr_0001_2', revision: 2, completedAt: began + 90 }),
  ])
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

const page = z.object({ items: z.array(z.looseObject({ id: z.string() })), next: z.string().nullable() })
async function list(query = '') {
  const answer = await gateway.ask(`/api/v1/worklist${query}`)
  return page.parse(await answer.json())
}
const idsOf = async (query?: string) => (await list(query)).items.map(({ id }) => id)

describe('the worklist', () => {
  it('gives who is urgent first, then who waits longest, without what was reviewed', async () => {
    expect(await idsOf()).toEqual(['st_0002', 'st_0003', 'st_0001', 'st_0005', 'st_0000'])
  })

  it('goes on page by page in the same order', async () => {
    const seen: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const answer: z.infer<typeof page> = await list(`?limit=2${next && `&cursor=${encodeURIComponent(next)}`}`)
      seen.push(...answer.items.map(({ id }) => id))
      next = answer.next
    }
    expect(seen).toEqual(await idsOf())
  })

  it('is asked for by state, priority and modality', async () => {
    expect(await idsOf('?state=reviewed')).toEqual(['st_0004'])
    expect(await idsOf('?state=all&priority=stat')).toEqual(['st_0004', 'st_0002'])
    expect(await idsOf('?modality=CT')).toEqual([])
  })

  it('says of each how far its images, answers in use, reports and deliveries are', async () => {
    const line = (await list()).items.find(({ id }) => id === 'st_0001')
    expect(line).toEqual({
      ...{ id: 'st_0001', site: 'main', modality: 'DX', patient: { pseudonym: 'pt_1' }, priority: 'urgent' },
      ...{ state: 'waiting', firstAt: began + 5, revision: 1, findings: ['chest: pneumonia'], missing: 0, expected: 2 },
      ...{ images: 2, predictions: 2, reports: 1, deliveries: { sent: 2, failed: 2, claimed: 2 } },
    })
  })
})

describe('a study', () => {
  it('comes with its revisions, the newest first, its deliveries, and what the patient had before', async () => {
    const body = await (await gateway.ask('/api/v1/studies/st_0001')).json()
    expect(body).toMatchObject({
      study: { id: 'st_0001', instances: 2 },
      revisions: [{ revision: 2 }, { revision: 1 }],
      line: { id: 'st_0001', priority: 'urgent' },
      patient: { pseudonym: 'pt_1' },
      truncated: false,
    })
    expect(z.looseObject({ deliveries: z.array(z.unknown()) }).parse(body).deliveries).toHaveLength(2)
    const { earlier } = z.looseObject({ earlier: z.array(z.looseObject({ id: z.string() })) }).parse(body)
    expect(earlier.map(({ id }) => id)).toEqual(['st_0002', 'st_0000'])
  })

  it.each(['complete', 'reviewed'])('that is called %s is so on the log, and told live', async what => {
    const socket = gateway.connect()
    const heard: unknown[] = []
    socket.on('request', message => heard.push(message))
    await joined(socket, { rooms: ['study:st_0001'] })
    const answer = await gateway.ask(`/api/v1/studies/st_0001/${what}`, { method: 'POST' })
    expect(answer.status).toBe(200)
    const event = await answer.json()
    expect(event).toMatchObject({ study: 'st_0001', what, revision: 1, actor: 'token' })
    await expect.poll(() => heard).toMatchObject([{ event }])
  })

  it('that is not there yet may be told how many images it is to have, by its UID', async () => {
    const body = JSON.stringify({ studyUid: '1.2.3.4', images: 12 })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    const answer = await gateway.ask('/api/v1/expected', init)
    expect(await answer.json()).toMatchObject({
      ...{ study: ids.study('main', '1.2.3.4'), what: 'expect', images: 12, source: 'order', revision: null },
    })
    for (const wrong of [{ images: 0 }, { priority: 'soon' }, {}]) {
      const none = { ...init, body: JSON.stringify({ studyUid: '1.2.3.4', ...wrong }) }
      const refused = await gateway.ask('/api/v1/expected', none)
      expect(refused.status).toBe(400)
      expect(await refused.text()).not.toContain('body.:')
    }
  })

  it('that is not there yet may be told how urgent its order is, with a count or without', async () => {
    const order = async (said: object) => {
      const body = JSON.stringify({ studyUid: '1.2.3.5', ...said })
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
      return z.looseObject({ id: z.string() }).parse(await (await gateway.ask('/api/v1/expected', init)).json())
    }
    const [urgent, stat, again] = [
      await order({ priority: 'urgent', images: 3 }),
      await order({ priority: 'stat' }),
      await order({ priority: 'stat' }),
    ]
    expect(urgent).toMatchObject({ what: 'expect', images: 3, priority: 'urgent', source: 'order' })
    expect(stat).toMatchObject({ what: 'expect', images: null, priority: 'stat' })
    expect(again.id).toBe(stat.id)
    expect(urgent.id).not.toBe(stat.id)
  })

  it('of which only the order is known is on no worklist', async () => {
    const line = { version: 1, site: '', modality: null, patient: null, priority: 'stat', rank: 0, firstAt: 0 } as const
    await gateway.documents.insert('worklist', {
      ...{ ...line, id: 'st_ordered', state: 'ordered', ordered: 'stat' },
      ...{ revision: 0, findings: [], missing: 0, expected: null },
    })
    for (const state of ['open', 'all', 'gathering']) {
      const answer = await (await gateway.ask(`/api/v1/worklist?state=${state}&limit=100`)).json()
      expect(JSON.stringify(answer)).not.toContain('st_ordered')
      expect(JSON.stringify(answer)).toContain('st_0')
    }
  })

  it('that is not there is asked nothing', async () => {
    expect((await gateway.ask('/api/v1/studies/st_none/complete', { method: 'POST' })).status).toBe(404)
  })

  it('is told live when it is assessed, to those who watch it and to those who watch all', async () => {
    const [mine, all, other] = [gateway.connect(), gateway.connect(), gateway.connect()]
    const heard: string[] = []
    for (const [name, socket] of Object.entries({ mine, all, other })) socket.on('study', () => heard.push(name))
    await joined(mine, { rooms: ['study:st_0006'] })
    await joined(all, { rooms: ['all'] })
    await joined(other, { rooms: ['study:st_0007'] })
    await gateway.publish(topics.studies, anAssessment(6))
    await gateway.publish(topics.studies, anAssessment(7))
    await expect.poll(() => heard.toSorted()).toEqual(['all', 'all', 'mine', 'other'])
  })
})
