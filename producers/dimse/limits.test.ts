/** Peers that are silent, or ask for more than they may: each limit of the node's own calls and of storage commitment. */
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { commandField, writeAction, writeQueryRequest } from '../../dicom/command.ts'
import { explicitLittle, writeElements } from '../../dicom/data-set.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { type OpenNode, openNode, peerOf, studyRoot } from '../../tests/harness/dicom-node.ts'
import { associate, dataPdus, releaseRequest, statusOf } from '../../tests/harness/dicom-peer.ts'
import { startPeer } from '../../tests/harness/little-peer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import type { Service } from './services/service.ts'
import { commitmentClass, commitmentInstance } from './sop-classes.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(settings: object, peers: object[] = []): Promise<OpenNode> {
  const node = await openNode({ settings, network: { peers } })
  closing.push(() => node[Symbol.asyncDispose]())
  return node
}

const pacs = (port: number) => ({ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port, services: [] })
const anyone = { acceptAnyoneOnThisNetwork: true }
const theStudy: DicomAttributes = {
  '00080052': { vr: 'CS', Value: ['STUDY'] },
  '0020000D': { vr: 'UI', Value: [chestUids(1).study] },
}

/** Statuses of a C-MOVE of the study to PACS. */
async function move({ port }: OpenNode): Promise<number[]> {
  const sopClass = `${studyRoot}2`
  const peer = await peerOf(port, { contexts: [{ abstractSyntax: sopClass, transferSyntaxes: [explicitLittle] }] })
  const [context] = peer.contexts
  if (!context) throw new Error('C-MOVE was not accepted')
  const request = (id: number) => writeQueryRequest(commandField.move, id, sopClass, 'PACS')
  const statuses: number[] = []
  for await (const { command } of peer.responses(context, request, writeElements(theStudy, explicitLittle)))
    statuses.push(command.status)
  await peer.release()
  return statuses
}

describe('a destination of C-MOVE', () => {
  it('that takes the connection and is silent is given up after calls.associateMs', async () => {
    const silent = createServer(socket => void socket.on('error', () => socket.destroy())).listen(0, '127.0.0.1')
    closing.push(() => silent.close())
    await until('it listens', () => silent.listening)
    const address = silent.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const node = await open({ ...anyone, calls: { associateMs: 50 } }, [pacs(port)])
    await node.keep(chestDicom(1))
    expect(await move(node)).toEqual([0xa702])
  })

  it('that takes an image and never answers is given up after calls.answerMs', async () => {
    let asked = 0
    const never: Service = {
      field: commandField.store,
      takes: () => true,
      async serve({ association }) {
        asked++
        await new Promise(resolve => association.signal.addEventListener('abort', resolve))
        return { code: 0 }
      },
    }
    const silent = await startPeer('PACS', [never])
    closing.push(() => silent.close())
    const node = await open({ ...anyone, calls: { answerMs: 1_000 } }, [pacs(silent.port)])
    await node.keep(chestDicom(1))
    expect(await move(node)).toEqual([0xa702])
    expect(asked).toBe(1)
  })
})

it('who asks by C-GET and never answers an image is aborted after calls.answerMs', async () => {
  const node = await open({ calls: { answerMs: 100 } })
  await node.keep(chestDicom(1))
  const { sopClass } = chestUids(1)
  const get = `${studyRoot}3`
  const peer = await peerOf(node.port, {
    contexts: [get, sopClass].map(abstractSyntax => ({ abstractSyntax, transferSyntaxes: [explicitLittle] })),
    roles: new Map([[sopClass, { scu: false, scp: true }]]),
    store: () => new Promise(() => undefined),
  })
  const context = peer.contexts.find(({ abstractSyntax }) => abstractSyntax === get)
  if (!context) throw new Error('C-GET was not accepted')
  const request = (id: number) => writeQueryRequest(commandField.get, id, get)
  void peer
    .responses(context, request, writeElements(theStudy, explicitLittle))
    .next()
    .catch(() => undefined)
  await until('it is aborted', () => node.stage.logs().includes('association aborted'))
  expect(node.stage.logs()).toContain('nothing, or too little, came for too long')
  expect(node.stage.logs()).not.toContain('fault of ours')
  peer.abort()
})

describe('storage commitment', () => {
  const ask = (count: number) => {
    const item: DicomAttributes = {
      '00081150': { vr: 'UI', Value: [chestUids(1).sopClass] },
      '00081155': { vr: 'UI', Value: [chestUids(1).sopInstance] },
    }
    const information: DicomAttributes = {
      '00081195': { vr: 'UI', Value: ['1.9.1'] },
      '00081199': { vr: 'SQ', Value: Array.from({ length: count }, () => item) },
    }
    return Buffer.concat([
      dataPdus(1, true, writeAction(3, commitmentClass, commitmentInstance, 1)),
      dataPdus(1, false, writeElements(information, explicitLittle)),
    ])
  }
  const contexts = [{ abstract: commitmentClass, syntaxes: [explicitLittle] }]

  it('of a list that is longer than commitment.maxRequestBytes is refused, and the association goes on', async () => {
    const node = await open({ commitment: { maxRequestBytes: 1_024, settleMs: 0, holdMs: 0 } })
    using peer = await associate(node.port, { contexts })
    peer.write(ask(20))
    expect(statusOf(await peer.next())).toMatchObject({ status: 0x0115, comment: expect.stringMatching(/^too-large/) })
    expect(await node.stage.stores.documents.count('commitments')).toBe(0)
    peer.write(ask(2))
    expect(statusOf(await peer.next()).status).toBe(0)
  })

  it('of whom nobody can tell is given up after commitment.giveUpMs, and not before', async () => {
    const commitment = { holdMs: 0, settleMs: 0, retryMs: 100, giveUpMs: 1_500 }
    const node = await open({ commitment })
    const count = (state: string) => node.stage.stores.documents.count('commitments', { state })
    using peer = await associate(node.port, { contexts })
    peer.write(Buffer.concat([ask(1), releaseRequest()]))
    await until('it is given up', async () => (await count('given-up')) === 1)
    expect(node.stage.logs()).toContain('"attempts":1,"givenUp":false')
    expect(await count('asked')).toBe(0)
  })
})
