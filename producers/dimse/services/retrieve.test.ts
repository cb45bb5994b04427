import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Command, commandField, writeQueryRequest } from '../../../dicom/command.ts'
import { explicitLittle, implicitLittle, readElements, writeElements } from '../../../dicom/data-set.ts'
import { filePrefix, readFileMeta } from '../../../dicom/part10.ts'
import { decodeFrame } from '../../../models/imaging/decode.ts'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { type OpenNode, openNode, peerOf, studyRoot } from '../../../tests/harness/dicom-node.ts'
import { dataSetOf } from '../../../tests/harness/dicom-peer.ts'
import { getOver } from '../../../tests/harness/get-scu.ts'
import { openStores } from '../../../tests/harness/stores.ts'
import { until } from '../../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../../simulator/phantoms.ts'

let nodes: OpenNode[] = []
beforeEach(() => {
  nodes = []
})
afterEach(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]()
})

async function open(options: Parameters<typeof openNode>[0] = {}): Promise<OpenNode> {
  const node = await openNode(options)
  nodes.push(node)
  return node
}

/** Slices of one study, of which `seeds` are the numbers. */
const keepStudy = (node: OpenNode, seeds: readonly number[]) =>
  node.keep(...seeds.map(seed => chestDicom(seed, { study: 1 })))
const dx = chestUids(1).sopClass
const theStudy: DicomAttributes = {
  '00080052': { vr: 'CS', Value: ['STUDY'] },
  '0020000D': { vr: 'UI', Value: [chestUids(1).study] },
}

describe('C-GET', () => {
  const dxRole = { abstract: dx, syntaxes: [explicitLittle] }

  it('brings a study back on the same association, byte for byte as it is stored', async () => {
    const node = await open()
    await keepStudy(node, [1, 2, 3])
    const got = await getOver(node.port, { accepts: [dxRole], identifier: theStudy })
    expect(got.statuses).toEqual([0xff00, 0xff00, 0])
    expect(got.last.subOperations).toMatchObject({ completed: 3, failed: 0, warning: 0 })
    const kept = got.images.toSorted((a, b) => (a.sopInstance < b.sopInstance ? -1 : 1))
    expect(kept.map(image => image.sopInstance)).toEqual([1, 2, 3].map(seed => chestUids(seed).sopInstance))
    for (const [i, image] of kept.entries())
      expect(image.dataSet.equals(dataSetOf(chestDicom(i + 1, { study: 1 })))).toBe(true)
  })

  it.each<[string, DicomAttributes]>([
    ['series', { '00080052': { vr: 'CS', Value: ['SERIES'] }, '0020000E': { vr: 'UI', Value: [chestUids(1).series] } }],
    [
      'image',
      {
        '00080052': { vr: 'CS', Value: ['IMAGE'] },
        '00080018': { vr: 'UI', Value: [chestUids(1).sopInstance, '1.2'] },
      },
    ],
    ['patient', { '00080052': { vr: 'CS', Value: ['PATIENT'] }, '00100020': { vr: 'LO', Value: ['DEMO-00000001'] } }],
  ])('takes the level of the %s', async (level, identifier) => {
    const node = await open()
    await keepStudy(node, [1])
    await node.keep(chestDicom(9))
    const sopClass = level === 'patient' ? '1.2.840.10008.5.1.4.1.2.1.3' : `${studyRoot}3`
    const got = await getOver(node.port, { accepts: [dxRole], identifier, sopClass })
    expect(got.images.map(image => image.sopInstance)).toEqual([chestUids(1).sopInstance])
  })

  const fixture = (name: string) => readFile(join(import.meta.dirname, '../../../models/fixtures/imaging', name))
  const accepting = (file: Buffer, ...syntaxes: string[]) => {
    const { sopClass: abstract, sopInstance } = readFileMeta(file) ?? { sopClass: '', sopInstance: '' }
    const identifier: DicomAttributes = {
      '00080052': { vr: 'CS', Value: ['IMAGE'] },
      '00080018': { vr: 'UI', Value: [sopInstance] },
    }
    return { accepts: [{ abstract, syntaxes }], identifier }
  }

  it.each([
    ['j2k-90-frames.dcm', implicitLittle],
    ['jpeg-50-ybr-422.dcm', explicitLittle],
    ['big-endian-u16.dcm', explicitLittle],
    ['explicit-u16-frames.dcm', '1.2.840.10008.1.2.1.99'],
  ])('gives %s in a transfer syntax that the peer takes', async (name, syntax) => {
    const node = await open()
    const file = await fixture(name)
    await node.keep(file)
    const got = await getOver(node.port, accepting(file, syntax))
    expect(got.last.subOperations).toMatchObject({ completed: 1, failed: 0, warning: 0 })
    const given = Buffer.concat([filePrefix('1.2', '1.2', syntax), got.images[0]?.dataSet ?? Buffer.alloc(0)])
    for (const frame of name.includes('frames') ? [1, 2] : [1])
      expect((await decodeFrame(given, frame)).samples).toEqual((await decodeFrame(file, frame)).samples)
  })

  it('never compresses: what is stored uncompressed goes to nobody who takes only JPEG 2000', async () => {
    const node = await open()
    const file = await fixture('explicit-u8.dcm')
    await node.keep(file)
    const got = await getOver(node.port, accepting(file, '1.2.840.10008.1.2.4.90'))
    expect(got.last.subOperations).toMatchObject({ completed: 0, failed: 1 })
  })

  it('names one that cannot be decoded as failed, and goes on', async () => {
    const node = await open()
    const [good, bad] = [await fixture('j2k-90-uint8.dcm'), Buffer.from(await fixture('j2k-90-uint16.dcm'))]
    bad.fill(0, bad.length - 400, bad.length - 8)
    await node.keep(good, bad)
    const uids = [good, bad].map(file => readFileMeta(file)?.sopInstance ?? '')
    const asked = accepting(good, explicitLittle)
    const identifier = { ...asked.identifier, '00080018': { vr: 'UI', Value: uids } }
    const got = await getOver(node.port, { ...asked, identifier })
    expect([got.last.status, got.last.subOperations]).toMatchObject([0xb000, { completed: 1, failed: 1 }])
    expect(got.failed?.text('00080058', 'UI')).toBe(uids[1])
  })

  it.each([false, true])(
    'sends nobody to one who is only called, de-identified, and is let in as anyone: in a lab %s',
    async lab => {
      const research = { name: 'research', aeTitle: 'RESEARCH', host: '127.0.0.1', services: [], deidentify: true }
      const stores = await openStores({ deidentify: { pixels: { unknown: 'blank' } } })
      onTestFinished(() => stores.close())
      const node = await open({ stores, network: { peers: [research] }, settings: { acceptAnyoneOnThisNetwork: lab } })
      await keepStudy(node, [1])
      const get = async (calling: string) =>
        (await getOver(node.port, { accepts: [dxRole], identifier: theStudy, calling })).images[0]?.dataSet
      expect((await get('OTHER'))?.equals(dataSetOf(chestDicom(1)))).toBe(true)
      const sent = readElements((await get('RESEARCH')) ?? Buffer.alloc(0), explicitLittle)
      expect(sent.text('00120062', 'CS')).toBe('YES')
      expect(sent.text('00100010', 'PN')).not.toMatch(/Demo/)
    },
  )

  it('names those that the peer has no context for', async () => {
    const node = await open()
    await keepStudy(node, [1, 2])
    const got = await getOver(node.port, {
      accepts: [{ abstract: '1.2.840.10008.5.1.4.1.1.2', syntaxes: [explicitLittle] }],
      identifier: theStudy,
    })
    expect(got.statuses.at(-1)).toBe(0xa702)
    expect(got.failed?.text('00080058', 'UI')?.split('\\').toSorted()).toEqual([
      chestUids(1).sopInstance,
      chestUids(2).sopInstance,
    ])
  })

  it('says how many are left when it is cancelled', async () => {
    const node = await open()
    await keepStudy(node, [1, 2, 3, 4])
    const got = await getOver(node.port, { accepts: [dxRole], identifier: theStudy, cancelAfter: 1 })
    expect(got.statuses.at(-1)).toBe(0xfe00)
    expect(got.last.subOperations).toMatchObject({ completed: 1, remaining: 3 })
  })

  it('stops when the peer vanishes in the middle, and harms nobody else', async () => {
    const node = await open()
    await keepStudy(node, [1, 2, 3, 4])
    await expect(getOver(node.port, { accepts: [dxRole], identifier: theStudy, vanishAfter: 1 })).rejects.toThrow()
    const got = await getOver(node.port, { accepts: [dxRole], identifier: theStudy })
    expect(got.images).toHaveLength(4)
    expect(node.stage.logs()).not.toContain('fault of ours')
  })

  it('never sends for an empty key, or one with a wild card', async () => {
    const node = await open()
    await keepStudy(node, [1])
    for (const uid of ['', '*', '1.2.*']) {
      const identifier = { ...theStudy, '0020000D': { vr: 'UI', Value: [uid] } }
      expect((await getOver(node.port, { accepts: [dxRole], identifier })).statuses).toEqual([0xa900])
    }
  })

  it('refuses more instances than a request may have', async () => {
    const node = await open({ settings: { query: { maxInstances: 2 } } })
    await keepStudy(node, [1, 2, 3])
    expect((await getOver(node.port, { accepts: [dxRole], identifier: theStudy })).statuses).toEqual([0xa701])
  })
})

describe('C-MOVE', () => {
  const pacs = (port: number) => ({ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port, services: [] })

  async function move(
    port: number,
    destination: string,
  ): Promise<{ statuses: number[]; last: Command; failed: string }> {
    const contexts = [{ abstractSyntax: `${studyRoot}2`, transferSyntaxes: [implicitLittle] }]
    const peer = await peerOf(port, { contexts })
    const [context] = peer.contexts
    if (!context) throw new Error('C-MOVE was not accepted')
    const statuses: number[] = []
    let last: Command | undefined
    let failed = ''
    const request = (id: number) => writeQueryRequest(commandField.move, id, `${studyRoot}2`, destination)
    for await (const { command, data } of peer.responses(context, request, writeElements(theStudy, implicitLittle))) {
      statuses.push(command.status)
      last = command
      if (data) failed = readElements(data, implicitLittle).text('00080058', 'UI') ?? ''
    }
    await peer.release()
    if (!last) throw new Error('no answer')
    return { statuses, last, failed }
  }

  it('sends a study to a destination of the settings, as it is stored, and counts', async () => {
    const destination = await open()
    const node = await open({
      network: { peers: [pacs(destination.port)] },
    })
    await keepStudy(node, [1, 2, 3])
    const moved = await move(node.port, 'PACS')
    expect(moved.statuses).toEqual([0xff00, 0xff00, 0])
    expect(moved.last.subOperations).toMatchObject({ completed: 3, failed: 0 })
    const digests = (of: OpenNode) =>
      of.stage.published.filter(event => 'object' in event).map(event => event.object.sha256)
    expect(digests(destination).toSorted()).toEqual(digests(node).toSorted())
    expect(destination.stage.published[0]?.source.peer).toBe('RAYLOG')
  })

  it('does not know destinations that the settings do not name', async () => {
    const node = await open()
    await keepStudy(node, [1])
    expect((await move(node.port, 'ELSEWHERE')).statuses).toEqual([0xa801])
  })

  it('says that nothing was sent where the destination is away', async () => {
    const gone = await openNode()
    await gone[Symbol.asyncDispose]()
    const node = await open({ network: { peers: [pacs(gone.port)] } })
    await keepStudy(node, [1, 2])
    const moved = await move(node.port, 'PACS')
    expect(moved.statuses.at(-1)).toBe(0xa702)
    expect(moved.failed.split('\\')).toHaveLength(2)
  })

  it('goes on with the others where the destination refuses one', async () => {
    const destination = await open({ settings: { maxBytes: 200_000 } })
    const node = await open({
      network: { peers: [pacs(destination.port)] },
    })
    await node.keep(chestDicom(1, { study: 1 }), chestDicom(2, { study: 1, size: 512 }), chestDicom(3, { study: 1 }))
    const moved = await move(node.port, 'PACS')
    expect(moved.last.status).toBe(0xb000)
    expect(moved.last.subOperations).toMatchObject({ completed: 2, failed: 1 })
    expect(moved.failed).toBe(chestUids(2).sopInstance)
  })

  it('lets the destination go where who asked is gone', async () => {
    const destination = await open()
    const node = await open({
      network: { peers: [pacs(destination.port)] },
    })
    await keepStudy(node, [1, 2, 3])
    const contexts = [{ abstractSyntax: `${studyRoot}2`, transferSyntaxes: [implicitLittle] }]
    const peer = await peerOf(node.port, { contexts })
    const [context] = peer.contexts
    if (!context) throw new Error('C-MOVE was not accepted')
    const request = (id: number) => writeQueryRequest(commandField.move, id, `${studyRoot}2`, 'PACS')
    const responses = peer.responses(context, request, writeElements(theStudy, implicitLittle))
    await responses.next()
    peer.abort()
    await until('both are without associations', async () => {
      await Promise.all([node.stage.drain(), destination.stage.drain()])
      return true
    })
  })
})
