import { rm, writeFile } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { commandField, writeAction, writeResponse } from '../../dicom/command.ts'
import { type Elements, explicitLittle, readElements, writeElements } from '../../dicom/data-set.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { type OpenNode, openNode } from '../../tests/harness/dicom-node.ts'
import { associate, dataPdus, type Peer, releaseRequest, statusOf } from '../../tests/harness/dicom-peer.ts'
import { nextMessage } from '../../tests/harness/get-scu.ts'
import { type LittlePeer, startPeer } from '../../tests/harness/little-peer.ts'
import { openStores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import { readAll } from './identifier.ts'
import type { Service } from './services/service.ts'
import { commitmentClass, commitmentInstance } from './sop-classes.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(options: Parameters<typeof openNode>[0] = {}): Promise<OpenNode> {
  const commitment = { holdMs: 100, settleMs: 300, retryMs: 100 }
  const node = await openNode({ ...options, settings: { commitment, ...Object(options.settings) } })
  closing.push(() => node[Symbol.asyncDispose]())
  return node
}

const dx = chestUids(1).sopClass
const reference = (sopInstance: string, sopClass = dx): DicomAttributes => ({
  '00081150': { vr: 'UI', Value: [sopClass] },
  '00081155': { vr: 'UI', Value: [sopInstance] },
})

function request(transaction: string, references: DicomAttributes[]): Buffer {
  const information = { '00081195': { vr: 'UI', Value: [transaction] }, '00081199': { vr: 'SQ', Value: references } }
  return Buffer.concat([
    dataPdus(1, true, writeAction(3, commitmentClass, commitmentInstance, 1)),
    dataPdus(1, false, writeElements(information, explicitLittle)),
  ])
}

const ask = (port: number, calling = 'MODALITY') =>
  associate(port, { calling, contexts: [{ abstract: commitmentClass, syntaxes: [explicitLittle] }] })

interface Report {
  type: number
  transaction: string | undefined
  kept: string[]
  failed: [string, string][]
}

function reportOf(type: number, data: Elements): Report {
  const uid = (item: Elements) => item.text('00081155', 'UI') ?? ''
  return {
    type,
    transaction: data.text('00081195', 'UI'),
    kept: data.items('00081199').map(uid),
    failed: data.items('00081198').map(item => [uid(item), item.text('00081197', 'US') ?? '']),
  }
}

async function reportOn(peer: Peer): Promise<Report> {
  const { context, command, data } = await nextMessage(peer)
  expect(command.field).toBe(commandField.eventReport)
  peer.write(dataPdus(context, true, writeResponse(command, 0)))
  return reportOf(command.type, readElements(data, explicitLittle))
}

/** A modality that listens for reports. */
async function listener(reports: Report[]): Promise<LittlePeer> {
  const service: Service = {
    field: commandField.eventReport,
    takes: () => true,
    async serve({ command, data, context }) {
      reports.push(reportOf(command.type, readElements(await readAll(data, 1_000_000), context.transferSyntax)))
      return { code: 0 }
    },
  }
  const peer = await startPeer('MODALITY', [service], { offered: new Set([commitmentClass]) })
  closing.push(() => peer.close())
  return peer
}

const modality = (port: number) => ({
  name: 'modality',
  aeTitle: 'MODALITY',
  host: '127.0.0.1',
  port,
  services: ['store', 'commitment'],
})

describe('storage commitment', () => {
  it('is given on the same association while that lasts, for what is kept', async () => {
    const node = await open()
    await node.keep(chestDicom(1), chestDicom(2))
    using peer = await ask(node.port)
    peer.write(
      request(
        '1.9.1',
        [1, 2].map(seed => reference(chestUids(seed).sopInstance)),
      ),
    )
    expect(statusOf(await peer.next()).status).toBe(0)
    const { sopInstance } = chestUids(1)
    expect(await reportOn(peer)).toEqual({
      type: 1,
      transaction: '1.9.1',
      kept: [sopInstance, chestUids(2).sopInstance],
      failed: [],
    })
  })

  it('names what is not here, is of another class, or is damaged, and why', async () => {
    const node = await open()
    await node.keep(chestDicom(1), chestDicom(2), chestDicom(3), chestDicom(4))
    const keyOf = (seed: number) =>
      node.stage.published.find(event => event.dicom?.sopInstance === chestUids(seed).sopInstance)?.object.key
    await rm(node.stage.stores.objects.local(keyOf(3) ?? '') ?? '')
    await writeFile(node.stage.stores.objects.local(keyOf(4) ?? '') ?? '', 'something else')
    using peer = await ask(node.port)
    const ct = '1.2.840.10008.5.1.4.1.1.2'
    const uids = [1, 2, 3, 4].map(seed => chestUids(seed).sopInstance)
    const [first = '', second = '', third = '', fourth = ''] = uids
    peer.write(
      request('1.9.2', [
        reference(first),
        reference(second, ct),
        reference(third),
        reference(fourth),
        reference('1.2.3'),
      ]),
    )
    expect(statusOf(await peer.next()).status).toBe(0)
    expect(await reportOn(peer)).toEqual({
      type: 2,
      transaction: '1.9.2',
      kept: [first],
      failed: [
        [second, String(0x0119)],
        [third, String(0x0112)],
        [fourth, String(0x0110)],
        ['1.2.3', String(0x0112)],
      ],
    })
  })

  it('is told on an association of ours where the peer has ended its own', async () => {
    const reports: Report[] = []
    const { port } = await listener(reports)
    const node = await open({ network: { peers: [modality(port)] } })
    await node.keep(chestDicom(1))
    using peer = await ask(node.port)
    peer.write(Buffer.concat([request('1.9.3', [reference(chestUids(1).sopInstance)]), releaseRequest()]))
    await until('the report has come', () => reports.length > 0)
    expect(reports).toEqual([{ type: 1, transaction: '1.9.3', kept: [chestUids(1).sopInstance], failed: [] }])
    await until(
      'it is noted',
      async () => (await node.stage.stores.documents.count('commitments', { state: 'reported' })) === 1,
    )
  })

  it('is given after a crash, by the next life', async () => {
    const stores = await openStores()
    closing.push(() => stores.close())
    const reports: Report[] = []
    const { port } = await listener(reports)
    const first = await open({ stores })
    await first.keep(chestDicom(1))
    {
      using peer = await ask(first.port)
      peer.write(request('1.9.4', [reference(chestUids(1).sopInstance)]))
      expect(statusOf(await peer.next()).status).toBe(0)
    }
    await first.stage.close()
    expect(await stores.documents.count('commitments', { state: 'asked' })).toBe(1)
    await open({ stores, network: { peers: [modality(port)] } })
    await until('the report has come', () => reports.length > 0)
    expect(reports[0]).toMatchObject({ type: 1, transaction: '1.9.4' })
  })

  it.each([
    ['no transaction', request('', [reference('1.2.3')]), 0x0115],
    ['no references', request('1.2', []), 0x0115],
    ['another action', dataPdus(1, true, writeAction(3, commitmentClass, commitmentInstance, 2)), 0x0123],
    ['another instance', dataPdus(1, true, writeAction(3, commitmentClass, '1.2.3', 1)), 0x0112],
  ])('is refused for %s', async (_what, bytes, status) => {
    const node = await open()
    using peer = await ask(node.port)
    peer.write(bytes)
    if (bytes.length < 200) peer.write(dataPdus(1, false, Buffer.alloc(0)))
    expect(statusOf(await peer.next()).status).toBe(status)
    expect(await node.stage.stores.documents.count('commitments')).toBe(0)
  })
})
