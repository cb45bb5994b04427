/** What leaves by `deliver`, as the audit has it. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { platformConfig } from '../../schemas/config.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { type AuditEntry, topics } from '../../schemas/topics.ts'
import { aStudy } from '../../tests/gateway/samples.ts'
import { imageFile, openNode } from '../../tests/harness/dicom-node.ts'
import { aReport } from '../../tests/harness/reports.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { deliver } from './stage.ts'

let stores: Stores
let told: AuditEntry[]
const cleanup: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  stores = await openStores()
  told = []
})
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close()
  await stores.close()
})

async function open(
  destinations: object[],
  peers: object[] = [],
  over: Partial<Pick<Stores, 'documents' | 'objects'>> = {},
): Promise<OpenedStage> {
  const stage = await openForTest(deliver, Object.assign(Object.create(stores), over), {
    settings: { destinations, pollMs: 50 },
    network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
    async publish(topic, ...events) {
      if (topic.name === topics.audit.name) told.push(...(events as AuditEntry[]))
      return []
    },
  })
  cleanup.push(() => stage.close())
  return stage
}

const over = (count: number) =>
  until('they are over', async () => (await stores.documents.count('reportDeliveries', { queue: null })) === count)
const study = { id: 'st_1', studyUid: '1.2.3', patient: 'pt_7' }

describe('what leaves', () => {
  it('to a PACS is told as images sent: begun, and over, with who has it where', async () => {
    const node = await openNode()
    cleanup.push(async () => await node[Symbol.asyncDispose]())
    await stores.documents.upsert('studies', [aStudy(1, study)])
    const stage = await open(
      [{ name: 'archive', kind: 'dicom', peer: 'pacs', aeTitle: 'US' }],
      [{ name: 'pacs', aeTitle: 'RAYLOG', host: '127.0.0.1', port: node.port, services: [] }],
    )
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'sr', content: imageFile({}) }))
    await over(1)
    const entry = { actor: 'US', object: 'st_1', outcome: 'success', address: '' }
    const to = { peer: 'pacs', destination: 'RAYLOG', destinationAddress: '127.0.0.1' }
    const detail = { study: '1.2.3', patient: 'pt_7', report: 'sr', ...to }
    expect(told).toEqual([
      expect.objectContaining({ ...entry, action: 'instances-sending', detail }),
      expect.objectContaining({ ...entry, action: 'instances-sent', detail }),
    ])
  })

  it.each([
    { away: 'objects', attempts: 2 },
    { away: 'documents', attempts: 1 },
  ] as const)('is told as begun also where $away fail just before it', async ({ away, attempts }) => {
    const node = await openNode()
    cleanup.push(async () => await node[Symbol.asyncDispose]())
    await stores.documents.upsert('studies', [aStudy(1, study)])
    const report = await aReport(stores, 1, { format: 'sr', content: imageFile({}) })
    let failures = 1
    const get = (table: string, id: string) => {
      if ((away === 'objects' || table === 'studies') && failures-- > 0)
        throw new RaylogError('store-unavailable', 'away')
      return away === 'objects' ? stores.objects.get(table) : stores.documents.get('studies', id)
    }
    const stage = await open(
      [{ name: 'archive', kind: 'dicom', peer: 'pacs', backoffMs: 10, maxBackoffMs: 10 }],
      [{ name: 'pacs', aeTitle: 'RAYLOG', host: '127.0.0.1', port: node.port, services: [] }],
      { [away]: Object.assign(Object.create(stores[away]), { get }) },
    )
    await stage.hand(topics.reports, report)
    await over(1)
    expect((await stores.documents.find('reportDeliveries', { limit: 1 })).items).toMatchObject([{ attempts }])
    expect(told.map(({ action, outcome, detail }) => [action, outcome, detail.patient])).toEqual([
      ['instances-sending', 'success', 'pt_7'],
      ['instances-sent', 'success', 'pt_7'],
    ])
  })

  it('elsewhere is an export, told once of a study and format, then how many more', async () => {
    await stores.documents.upsert('studies', [aStudy(1, study)])
    const stage = await open([{ name: 'share', kind: 'folder', path: join(stores.folder, 'share') }])
    for (let n = 1; n <= 20; n++)
      await stage.hand(topics.reports, await aReport(stores, n, { study: 'st_1', format: n === 7 ? 'pdf' : 'csv' }))
    await over(20)
    await stage.close()
    await until('all of it is told', () => told.length === 3)
    expect(told.every(({ action, actor }) => action === 'export' && actor === 'raylog')).toBe(true)
    const counts = told.map(({ detail: { report, count = '1' } }) => `${report} ${count}`)
    expect(counts.toSorted()).toEqual(['csv 1', 'csv 18', 'pdf 1'])
    expect(told[0]).toMatchObject({ object: 'st_1', detail: { study: '1.2.3', patient: 'pt_7', destination: 'share' } })
  })

  it('and does not arrive is a failure, with its code; one that is tried again is not told again', async () => {
    const stage = await open(
      [{ name: 'archive', kind: 'dicom', peer: 'pacs', backoffMs: 10, maxBackoffMs: 10, giveUpMs: 1_000, restMs: 10 }],
      [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: 1, services: [] }],
    )
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'sr', content: imageFile({}) }))
    await over(1)
    const [delivery] = (await stores.documents.find('reportDeliveries', { limit: 1 })).items
    expect(delivery?.attempts).toBeGreaterThan(1)
    expect(told.map(({ action, outcome, detail }) => [action, outcome, detail.reason])).toEqual([
      ['instances-sending', 'success', undefined],
      ['instances-sent', 'failure', 'peer-unavailable'],
    ])
  })
})
