import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commandField, writeEventReport } from '../../dicom/command.ts'
import { explicitLittle, writeElements } from '../../dicom/data-set.ts'
import type { Network } from '../../kafka/ports.ts'
import { createAdmission } from '../../producers/dimse/admission.ts'
import type { Service } from '../../producers/dimse/services/service.ts'
import { platformConfig } from '../../schemas/config.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Report, topics } from '../../schemas/topics.ts'
import { aPrediction } from '../../tests/gateway/samples.ts'
import { imageFile, type OpenNode, openNode, peerOf } from '../../tests/harness/dicom-node.ts'
import { startPeer } from '../../tests/harness/little-peer.ts'
import { aReport } from '../../tests/harness/reports.ts'
import { type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { deliver } from './stage.ts'

const commitmentClass = '1.2.840.10008.1.20.1'
let stores: Stores
let told: Report[]
const cleanup: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  stores = await openStores()
  told = []
})
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close()
  await stores.close()
})

async function open(destinations: object[], network?: Network): Promise<OpenedStage> {
  const stage = await openForTest(deliver, stores, {
    settings: {
      destinations: destinations.map(one => ({ backoffMs: 20, maxBackoffMs: 40, restMs: 20, maxRestMs: 40, ...one })),
      pollMs: 50,
    },
    ...(network && { network }),
    async publish(topic, ...events) {
      if (topic.name === topics.reports.name) told.push(...(events as Report[]))
      return []
    },
  })
  cleanup.push(() => stage.close())
  return stage
}

const folder = (name: string, more: object = {}) => ({ name, kind: 'folder', path: join(stores.folder, name), ...more })
const filesOf = (name: string) =>
  readdir(join(stores.folder, name), { recursive: true, withFileTypes: true }).then(
    all =>
      all
        .filter(one => one.isFile())
        .map(one => join(one.parentPath, one.name))
        .sort(),
    () => [],
  )
const deliveries = async () => (await stores.documents.find('reportDeliveries', { limit: 1000 })).items
const over = async (many: number) =>
  await until(
    `${many} are over`,
    async () => (await stores.documents.count('reportDeliveries', { queue: null })) === many,
  )
const fates = async () =>
  Object.fromEntries(
    (await deliveries()).map(({ destination, state, code }) => [destination, code ? `${state} ${code}` : state]),
  )

async function pacs(options: { settings?: object } = {}): Promise<{ node: OpenNode; network: Network }> {
  const node = await openNode(options)
  cleanup.push(async () => await node[Symbol.asyncDispose]())
  const peers = [{ name: 'pacs', aeTitle: 'RAYLOG', host: '127.0.0.1', port: node.port, services: [] }]
  return { node, network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null } }
}

describe('deliver', () => {
  it('puts a report whole into a folder, under a name of ids alone, and tells of it', async () => {
    const stage = await open([folder('share')])
    const report = await aReport(stores, 1, { format: 'csv', content: Buffer.from('a,b\r\n'), revision: 2 })
    await stage.hand(topics.reports, report)
    await over(1)
    const [path = '', ...others] = await filesOf('share')
    expect(others).toEqual([])
    expect(path).toBe(join(stores.folder, 'share', 'st_1', 'csv-r2-rp_1.csv'))
    expect(await readFile(path, 'utf8')).toBe('a,b\r\n')
    expect(told).toEqual([
      expect.objectContaining({ outcome: 'sent', destination: 'share', study: 'st_1', revision: 2 }),
    ])
    expect(await stores.documents.get('reportDeliveries', ids.reportDelivery('rp_1', 2, 'share'))).toMatchObject({
      ...{ state: 'sent', receipt: 'st_1/csv-r2-rp_1.csv', attempts: 1, queue: null },
    })
  })

  it('sends one report once, however often its event is read, and takes nothing that was not made', async () => {
    const stage = await open([folder('share')])
    const report = await aReport(stores, 1)
    for (const outcome of ['made', 'made', 'superseded', 'sent', 'refused'] as const)
      await stage.hand(topics.reports, { ...report, outcome })
    await over(1)
    await stage.hand(topics.reports, report)
    expect(await deliveries()).toEqual([expect.objectContaining({ attempts: 1, version: 4 })])
    expect(told).toHaveLength(1)
  })

  it('gives each destination what its rules name', async () => {
    const rules = (...all: object[]) => ({ rules: all })
    const stage = await open([
      folder('all'),
      folder('csv-of-north', rules({ formats: ['csv'], sites: ['north'] })),
      folder('later', rules({ revisions: 'later' })),
      folder('digits', rules({ models: ['digits@1.0.0'] }, { modalities: ['XX'] })),
      folder('urgent', rules({ priorities: ['stat'] })),
      folder('found', rules({ labels: ['7'], present: true })),
      folder('not-found', rules({ labels: ['7'], present: false })),
    ])
    const prediction = {
      ...aPrediction(1),
      ...{ label: '7', threshold: null },
      model: { ...aPrediction(1).model, name: 'digits', version: '1.0.0' },
    }
    await stores.documents.upsert('predictions', [prediction])
    await stage.hand(
      topics.reports,
      await aReport(stores, 1, { format: 'csv', site: 'north', revision: null, prediction: prediction.id }),
    )
    await over(4)
    expect(Object.keys(await fates()).sort()).toEqual(['all', 'csv-of-north', 'digits', 'found'])
  })

  it('waits for what a rule must know, and gives up on what will not come', async () => {
    const stage = await open([folder('urgent', { rules: [{ priorities: ['stat'] }] }), folder('all')])
    const report = await aReport(stores, 1, { prediction: 'pr_none' })
    await expect(stage.hand(topics.reports, { ...report, at: Date.now() })).rejects.toMatchObject({ code: 'busy' })
    await expect(stage.hand(topics.reports, { ...report, at: Date.now() - 3_600_000 })).rejects.toMatchObject({
      code: 'not-found',
    })
    // Nobody else waits for it.
    await over(1)
    expect(await fates()).toEqual({ all: 'sent' })
  })

  it('waits for a store that is away, whatever else will not come', async () => {
    const whole = stores
    let away = true
    const insert: Stores['documents']['insert'] = (...what) =>
      away && what[0] === 'reportDeliveries'
        ? Promise.reject(new RaylogError('store-unavailable', 'no answer'))
        : whole.documents.insert(...what)
    stores = { ...whole, documents: { ...whole.documents, insert } }
    const stage = await open([folder('urgent', { rules: [{ priorities: ['stat'] }] }), folder('all')])
    const report = await aReport(stores, 1, { prediction: 'pr_none', at: Date.now() - 3_600_000 })
    await expect(stage.hand(topics.reports, report)).rejects.toMatchObject({ code: 'store-unavailable' })
    away = false
    await expect(stage.hand(topics.reports, report)).rejects.toMatchObject({ code: 'not-found' })
    await over(1)
    expect(await fates()).toEqual({ all: 'sent' })
  })

  it('stores DICOM in a PACS and offers it nothing else', async () => {
    const { node, network } = await pacs()
    const stage = await open([{ name: 'pacs', kind: 'dicom', peer: 'pacs' }], network)
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'pdf' }))
    await stage.hand(topics.reports, await aReport(stores, 2, { format: 'sr', content: imageFile({}) }))
    await over(1)
    expect(await deliveries()).toEqual([
      expect.objectContaining({ report: 'rp_2', state: 'sent', receipt: 'C-STORE 0x0000' }),
    ])
    expect(node.stage.published.map(({ dicom }) => dicom?.sopInstance)).toEqual(['1.2.3.4'])
  })

  it('refuses what the PACS does not take, and waits out one that is away', async () => {
    const { node, network } = await pacs()
    const stage = await open([{ name: 'pacs', kind: 'dicom', peer: 'pacs' }, folder('share')], network)
    const unknown = imageFile({ '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.31'] } })
    await stage.hand(topics.reports, await aReport(stores, 1, { content: unknown, format: 'sr' }))
    await over(2)
    expect(await fates()).toEqual({ pacs: 'refused peer-refused', share: 'sent' })
    await node.stage.close()
    await stage.hand(topics.reports, await aReport(stores, 2, { content: imageFile({}), format: 'sr' }))
    await until('the folder has it', async () => (await filesOf('share')).length === 2)
    await until('it was tried', async () =>
      (await deliveries()).some(({ attempts, report }) => report === 'rp_2' && attempts > 3),
    )
    expect(
      (await deliveries()).find(({ report, destination }) => report === 'rp_2' && destination === 'pacs'),
    ).toMatchObject({
      code: 'peer-unavailable',
      redelivered: false,
    })
  })

  it('asks for storage commitment, and keeps what the PACS answers on an association of its own', async () => {
    const us = await openNode({
      stores,
      network: { peers: [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', services: ['commitment'] }] },
    })
    cleanup.push(async () => await us[Symbol.asyncDispose]())
    const there = await openNode({
      settings: { aeTitle: 'PACS', commitment: { holdMs: 10, settleMs: 2_000, retryMs: 100 } },
      network: {
        peers: [{ name: 'us', aeTitle: 'RAYLOG', host: '127.0.0.1', port: us.port, services: ['store', 'commitment'] }],
      },
    })
    cleanup.push(async () => await there[Symbol.asyncDispose]())
    const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: there.port, services: [] }]
    const network = { peers: platformConfig.parse({ peers }).peers, dicomTls: null }
    const stage = await open([{ name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true }], network)
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'sr', content: imageFile({}) }))
    await over(1)
    const [delivery] = await deliveries()
    expect(delivery).toMatchObject({ state: 'sent', receipt: 'C-STORE 0x0000, commitment asked' })
    const commitment = await until('the PACS has answered', async () => {
      const asked = await stores.documents.get('commitmentsAsked', delivery?.commitment ?? '')
      return asked?.state === 'asked' ? undefined : asked
    })
    expect(commitment).toMatchObject({ state: 'kept', failures: [], delivery: delivery?.id, peer: 'PACS' })
  })

  it('keeps a commitment that was asked for and not answered: the PACS may have heard it', async () => {
    const service = (field: number, serve: Service['serve']) => ({ field, takes: () => true, serve })
    const services = [
      service(commandField.store, async ({ data }) => {
        await data?.skip()
        return { code: 0 }
      }),
      service(commandField.action, () => Promise.reject(new Error('it breaks off'))),
    ]
    const us = [{ name: 'us', aeTitle: 'RAYLOG', addresses: ['127.0.0.1'], services: ['store', 'commitment'] }]
    const there = await startPeer('PACS', services, {
      offered: new Set([commitmentClass]),
      identify: createAdmission({ peers: platformConfig.parse({ peers: us }).peers, acceptAnyone: false }),
    })
    cleanup.push(() => there.close())
    const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: there.port, services: [] }]
    const network = { peers: platformConfig.parse({ peers }).peers, dicomTls: null }
    const stage = await open([{ name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true }], network)
    await stage.hand(topics.reports, await aReport(stores, 1, { format: 'sr', content: imageFile({}) }))
    await over(1)
    const [delivery] = await deliveries()
    expect(delivery).toMatchObject({ state: 'sent', receipt: 'C-STORE 0x0000, commitment asked, not answered' })
    expect(await stores.documents.get('commitmentsAsked', delivery?.commitment ?? '')).toMatchObject({
      ...{ state: 'asked', delivery: delivery?.id },
    })
  })

  it('takes no answer to a commitment from another than was asked', async () => {
    const us = await openNode({ stores })
    cleanup.push(async () => await us[Symbol.asyncDispose]())
    await stores.documents.upsert('commitmentsAsked', [
      {
        ...{ id: '2.25.7', version: 1, delivery: 'rd_1', peer: 'PACS', state: 'asked', askedAt: 1, answeredAt: null },
        ...{
          items: [
            { sopClass: '1.2', sopInstance: '1.2.3' },
            { sopClass: '1.2', sopInstance: '1.2.4' },
          ],
          failures: [],
        },
      },
    ])
    const report = async (calling: string) => {
      const contexts = [{ abstractSyntax: commitmentClass, transferSyntaxes: [explicitLittle] }]
      const roles = new Map([[commitmentClass, { scu: false, scp: true }]])
      const peer = await peerOf(us.port, { calling, contexts, roles })
      const [context] = peer.contexts
      if (!context) throw new Error('not accepted')
      const kept = [{ '00081150': { vr: 'UI', Value: ['1.2'] }, '00081155': { vr: 'UI', Value: ['1.2.3'] } }]
      const data = { '00081195': { vr: 'UI', Value: ['2.25.7'] }, '00081199': { vr: 'SQ', Value: kept } }
      const command = (id: number) => writeEventReport(id, commitmentClass, '1.2.840.10008.1.20.1.1', 1)
      const { status } = await peer.request(context, command, writeElements(data, explicitLittle))
      await peer.release()
      return status
    }
    expect(await report('OTHER')).toBe(0x0115)
    expect(await stores.documents.get('commitmentsAsked', '2.25.7')).toMatchObject({ state: 'asked' })
    expect(await report('PACS')).toBe(0)
    // One of the two is named in no list of the answer.
    expect(await stores.documents.get('commitmentsAsked', '2.25.7')).toMatchObject({
      ...{ state: 'failed', failures: [{ sopInstance: '1.2.4', reason: 0x0110 }] },
    })
  })

  it('says at the start which peer is missing', async () => {
    await expect(open([{ name: 'pacs', kind: 'dicom', peer: 'nobody' }])).rejects.toMatchObject({
      code: 'config-invalid',
    })
  })
})
