/** Peers as they meet the port: what they are told, what becomes of their images, and what the audit says. */
import { afterEach, describe, expect, it } from 'vitest'
import { writeStoreRequest } from '../../dicom/command.ts'
import { pdu } from '../../dicom/pdu.ts'
import { type Clock, systemClock } from '../../monitoring/clock.ts'
import { peerOf } from '../../tests/harness/dicom-node.ts'
import {
  associate,
  associateRequest,
  connectPeer,
  contextsOf,
  dataSetOf,
  explicitLittle,
  releaseRequest,
  statusOf,
  store,
  verification,
} from '../../tests/harness/dicom-peer.ts'
import { type OpenProducer, openProducer } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import { dimse } from './stage.ts'

let open: OpenProducer | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

const here = { name: 'ct', aeTitle: 'CT1', host: '127.0.0.1' }
const proposal = { calling: 'CT1', contexts: [{ abstract: chestUids(1).sopClass, syntaxes: [explicitLittle] }] }

async function start(
  peers: object[],
  settings: object = {},
  clock: Clock = systemClock,
): Promise<{ port: number; stage: OpenProducer }> {
  const stage = await openProducer(dimse, { settings: { port: 0, ...settings }, network: { peers }, clock })
  open = stage
  return { port: Number(stage.endpoints.dicom?.port), stage }
}

async function send(port: number, seed: number): Promise<number> {
  using peer = await associate(port, proposal)
  peer.write(store(chestUids(seed), dataSetOf(chestDicom(seed))))
  const { status } = statusOf(await peer.next())
  peer.write(releaseRequest())
  await peer.next()
  return status
}

async function answerTo(port: number, calling: string) {
  using peer = await connectPeer(port)
  peer.write(associateRequest({ calling }))
  return await peer.next()
}

it('a peer that goes while it waits for its turn gives its place back, and is not waited for', async () => {
  const { port, stage } = await start([{ ...here, maxBytesPerSecond: 1_024, maxAssociations: 1 }])
  const small = (seed: number) => store(chestUids(seed), dataSetOf(chestDicom(seed, { size: 64 })))
  const peer = await associate(port, proposal)
  peer.write(small(1))
  expect(statusOf(await peer.next()).status).toBe(0)
  // Seconds of waiting at that rate.
  peer.write(small(2))
  peer.socket.end()
  using _next = await until('there is a place', () => associate(port, proposal).catch(() => undefined))
  expect(stage.published).toHaveLength(1)
})

describe('a stranger', () => {
  it('is told that its calling AE title is not recognized, and the audit has it once', async () => {
    const { port, stage } = await start([here])
    for (let i = 0; i < 3; i++) {
      const answer = await answerTo(port, 'EVIL')
      expect(answer?.type).toBe(pdu.associateRj)
      // Rejected for good, by the user, calling AE title not recognized (PS3.8 table 9-21).
      expect([...(answer?.body.subarray(1) ?? [])]).toEqual([1, 1, 3])
    }
    expect(stage.audited).toMatchObject([
      {
        ...{
          action: 'association-rejected',
          actor: 'EVIL',
          object: 'RAYLOG',
          outcome: 'failure',
          address: '127.0.0.1',
        },
        detail: { called: 'RAYLOG', reason: 'calling AE title is not that of a peer' },
      },
    ])
    await stage.drain()
    expect(stage.audited.map(({ detail }) => detail.count)).toEqual([undefined, '2'])
  })

  it('is taken in a lab that says so', async () => {
    const { port } = await start([here], { acceptAnyoneOnThisNetwork: true })
    expect((await answerTo(port, 'EVIL'))?.type).toBe(pdu.associateAc)
  })
})

describe('a peer', () => {
  it('has its images under its site, priority and models, and the audit has association and transfer', async () => {
    const { port, stage } = await start([{ ...here, site: 'north', priority: 'stat', models: ['pneumonia'] }])
    expect(await send(port, 1)).toBe(0)
    expect(stage.published).toMatchObject([{ site: 'north', priority: 'stat', requested: ['pneumonia'] }])
    const [event] = stage.published
    await until('the transfer is told', () => stage.audited.length === 3)
    const transfer = { actor: 'CT1', address: '127.0.0.1', object: event?.study, outcome: 'success' }
    expect(stage.audited).toMatchObject([
      { action: 'association-opened', actor: 'CT1', detail: { peer: 'ct', called: 'RAYLOG' } },
      { action: 'instances-receiving', ...transfer },
      {
        ...{ action: 'instances-received', ...transfer },
        detail: {
          ...{ study: event?.dicom?.study, patient: event?.patient },
          sopClasses: `${chestUids(1).sopClass}=1`,
        },
      },
    ])
    expect(JSON.stringify(stage.audited)).not.toMatch(/PatientName|\^/)
  })

  it('is refused what it may not do, context by context, by us and not for want of knowing it', async () => {
    const { port } = await start([{ ...here, sopClasses: ['1.2.840.10008.5.1.4.1.1.4'] }])
    using peer = await connectPeer(port)
    const contexts = [
      { abstract: chestUids(1).sopClass, syntaxes: [explicitLittle] },
      { abstract: '1.2.840.10008.5.1.4.1.1.4', syntaxes: [explicitLittle] },
      { abstract: verification, syntaxes: [explicitLittle] },
    ]
    peer.write(associateRequest({ calling: 'CT1', contexts }))
    expect(contextsOf(await peer.next()).map(({ result }) => result)).toEqual([1, 0, 0])
  })

  it('has as many associations as it may, and others have theirs', async () => {
    const { port } = await start([
      { ...here, maxAssociations: 1 },
      { ...here, name: 'mr', aeTitle: 'MR1' },
    ])
    const first = await associate(port, proposal)
    const second = await answerTo(port, 'CT1')
    expect([second?.type, ...(second?.body.subarray(1) ?? [])]).toEqual([pdu.associateRj, 2, 3, 2])
    expect((await answerTo(port, 'MR1'))?.type).toBe(pdu.associateAc)
    first[Symbol.dispose]()
    await until('the place is free', async () => (await answerTo(port, 'CT1'))?.type === pdu.associateAc)
  })

  it('is slowed down to its rate over all its associations, and loses nothing', async () => {
    const { port, stage } = await start([{ ...here, maxInstancesPerSecond: 20 }])
    const began = performance.now()
    const statuses = await Promise.all(Array.from({ length: 9 }, (_, seed) => send(port, seed)))
    expect(statuses).toEqual(Array(9).fill(0))
    expect(performance.now() - began).toBeGreaterThan(8 * 50 - 5)
    expect(stage.published).toHaveLength(9)
  })

  it('that waits for its turn at a stop is told to come again', async () => {
    const waits: number[] = []
    const clock: Clock = {
      ...systemClock,
      sleep(ms, signal) {
        waits.push(ms)
        return systemClock.sleep(ms, signal)
      },
    }
    const { port, stage } = await start([{ ...here, maxInstancesPerSecond: 0.001 }], {}, clock)
    expect(await send(port, 1)).toBe(0)
    const waiting = send(port, 2)
    await until('it waits', () => waits.some(ms => ms > 500_000))
    await stage.drain()
    expect(await waiting.catch(() => 0xa700)).toBe(0xa700)
    expect(stage.published).toHaveLength(1)
  })
})

describe('an image that we asked a peer to move to us', () => {
  const moved = async (port: number, originator: string) => {
    const { sopClass, sopInstance } = chestUids(1)
    const contexts = [{ abstractSyntax: sopClass, transferSyntaxes: [explicitLittle] }]
    const peer = await peerOf(port, { calling: 'CT1', contexts })
    const [context] = peer.contexts
    if (!context) throw new Error('not accepted')
    const request = (id: number) => writeStoreRequest(id, sopClass, sopInstance, { aeTitle: originator, messageId: 1 })
    expect((await peer.request(context, request, dataSetOf(chestDicom(1)))).status).toBe(0)
    await peer.release()
  }

  it('has the retrieval as its source, and the peer by its name', async () => {
    const { port, stage } = await start([here])
    await moved(port, 'RAYLOG')
    await moved(port, 'SOMEBODY')
    expect(stage.published.map(({ source }) => source)).toEqual([
      { kind: 'retrieve', peer: 'ct' },
      { kind: 'dimse', peer: 'CT1' },
    ])
  })
})
