import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import dcmjs from 'dcmjs-dimse'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readFileMeta } from '../../dicom/part10.ts'
import { pdu, writePdu } from '../../dicom/pdu.ts'
import {
  associate,
  associateRequest,
  command,
  connectPeer,
  contextsOf,
  dataPdus,
  dataSetOf,
  echo,
  explicitLittle,
  type Proposal,
  releaseRequest,
  statusOf,
  store,
  verification,
} from '../../tests/harness/dicom-peer.ts'
import { type OpenProducer, openProducer } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import { dimse } from './stage.ts'
import { isStorageClass, transferSyntaxes } from './syntaxes.ts'

let open: OpenProducer | undefined
afterEach(async () => {
  await open?.close()
  open = undefined
})

async function start(settings: Record<string, unknown> = {}): Promise<number> {
  open = await openProducer(dimse, { settings: { port: 0, ...settings } })
  return Number(open.endpoints.dicom?.port)
}

async function ask(port: number, proposal: Proposal) {
  using peer = await connectPeer(port)
  peer.write(associateRequest(proposal))
  return await peer.next()
}

/** Timers that no test waits for. */
const patient = { artimMs: 600_000, idleMs: 600_000, stallMs: 600_000 }
/** RAYLOG_FUZZ_RUNS=2000 for more streams than every run of the tests needs, RAYLOG_FUZZ_SEED for others. */
const fuzz = {
  numRuns: Number(process.env.RAYLOG_FUZZ_RUNS ?? 120),
  seed: Number(process.env.RAYLOG_FUZZ_SEED ?? 20_261),
}

const implicitLittle = '1.2.840.10008.1.2'
const dx = chestUids(1).sopClass

describe('an association', () => {
  it('answers C-ECHO and ends when the peer releases it', async () => {
    using peer = await associate(await start())
    peer.write(echo())
    expect(statusOf(await peer.next()).status).toBe(0)
    peer.write(releaseRequest())
    expect(await peer.next()).toMatchObject({ type: pdu.releaseRp })
    expect(await peer.next()).toBeUndefined()
  })

  it('takes, of each context, the first transfer syntax proposed that it knows', async () => {
    const answer = await ask(await start(), {
      contexts: [
        { abstract: dx, syntaxes: ['1.2.3.4', '1.2.840.10008.1.2.4.90', implicitLittle] },
        { abstract: dx, syntaxes: [implicitLittle, '1.2.840.10008.1.2.4.90'] },
        { abstract: dx, syntaxes: ['1.2.3.4'] },
        { abstract: '1.2.840.10008.5.1.4.1.2.1.1', syntaxes: ['1.2.840.10008.1.2.2', implicitLittle] },
        { abstract: '1.2.840.10008.5.1.1.9', syntaxes: [implicitLittle] },
        { abstract: '1.2.840.10008.5.1.4.1.1.999.7', syntaxes: [implicitLittle] },
        { abstract: '1.3.12.2.1107.5.9.1', syntaxes: [implicitLittle] },
      ],
    })
    expect(contextsOf(answer)).toMatchObject([
      { id: 1, result: 0, syntax: '1.2.840.10008.1.2.4.90' },
      { id: 3, result: 0, syntax: implicitLittle },
      { id: 5, result: 4 },
      { id: 7, result: 0, syntax: implicitLittle },
      { id: 9, result: 3 },
      { id: 11, result: 0 },
      { id: 13, result: 3 },
    ])
  })

  it('takes private SOP classes where the settings say so', async () => {
    const contexts = [{ abstract: '1.3.12.2.1107.5.9.1', syntaxes: [implicitLittle] }]
    const answer = await ask(await start({ privateSopClasses: true }), { contexts })
    expect(contextsOf(answer)).toMatchObject([{ result: 0 }])
  })

  it('is rejected with the reason of PS3.8 table 9-21', async () => {
    const port = await start({ strictAeTitle: true, maxAssociations: 1 })
    expect((await ask(port, { called: 'OTHER' }))?.body).toEqual(Buffer.from([0, 1, 1, 7]))
    expect((await ask(port, { version: 2 }))?.body).toEqual(Buffer.from([0, 1, 2, 2]))
    using _held = await associate(port)
    expect((await ask(port, {}))?.body).toEqual(Buffer.from([0, 2, 3, 2]))
  })

  it('gives its place back when it ends, however it ends', async () => {
    const port = await start({ maxAssociations: 1, artimMs: 200 })
    for (const end of ['release', 'abort', 'reset', 'half-closed'] as const) {
      const peer = await until('there is a place', () => associate(port).catch(() => undefined))
      if (end === 'release') peer.write(releaseRequest())
      if (end === 'abort') peer.write(writePdu(pdu.abort, Buffer.alloc(4)))
      if (end === 'reset') peer.socket.resetAndDestroy()
      if (end === 'half-closed') peer.socket.end()
      await peer.next()
    }
    using _last = await until('there is a place', () => associate(port).catch(() => undefined))
  })

  it.each([
    ['something that is no PDU', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 1],
    ['data before an association', echo(), 2],
    ['a PDU of unknown type', writePdu(9, Buffer.alloc(4)), 1],
    ['a request that is too short', writePdu(pdu.associateRq, Buffer.alloc(10)), 6],
    ['a request with an item longer than itself', associateRequest().fill(0xff, 76, 78), 6],
    ['a PDU that says it has 4 GB', Buffer.from([1, 0, 0xff, 0xff, 0xff, 0xff]), 6],
  ])('is aborted for %s', async (_what, bytes, reason) => {
    using peer = await connectPeer(await start())
    peer.write(bytes)
    expect(await peer.next()).toEqual({ type: pdu.abort, body: Buffer.from([0, 0, 2, reason]) })
  })

  it.each([
    ['a context that was not accepted', dataPdus(5, true, command(0x0030)), 6],
    ['data without a command', dataPdus(1, false, Buffer.alloc(100)), 2],
    ['a command that cannot be parsed', dataPdus(1, true, Buffer.alloc(100, 0x33)), 6],
    ['another request for an association', associateRequest(), 2],
    ['a P-DATA-TF longer than announced', writePdu(pdu.data, Buffer.alloc(200_000)), 6],
    ['a data value longer than its PDU', writePdu(pdu.data, Buffer.from([0, 0, 1, 0, 1, 3])), 6],
    [
      'a command that never ends',
      Buffer.concat(
        Array.from({ length: 9 }, () =>
          writePdu(pdu.data, Buffer.concat([Buffer.from([0, 0, 0x1f, 0x42, 1, 1]), Buffer.alloc(8_000)])),
        ),
      ),
      6,
    ],
  ])('once accepted is aborted for %s', async (_what, bytes, reason) => {
    using peer = await associate(await start())
    peer.write(bytes)
    expect(await peer.next()).toEqual({ type: pdu.abort, body: Buffer.from([0, 0, 2, reason]) })
  })

  it('says of operations that it does not have that it does not have them, and goes on', async () => {
    using peer = await associate(await start(), {
      contexts: [
        { abstract: verification, syntaxes: [explicitLittle] },
        { abstract: dx, syntaxes: [explicitLittle] },
      ],
    })
    const remove = Buffer.concat([
      dataPdus(1, true, command(0x0150, { data: true })),
      dataPdus(1, false, Buffer.alloc(40_000)),
    ])
    peer.write(remove)
    expect(statusOf(await peer.next()).status).toBe(0x0211)
    // A query on a context of C-ECHO.
    peer.write(dataPdus(1, true, command(0x0020)))
    expect(statusOf(await peer.next()).status).toBe(0x0122)
    // An image on a context of another class: that class was not negotiated.
    const { sopInstance } = chestUids(1)
    peer.write(store({ context: 3, sopClass: '1.2.840.10008.5.1.4.1.1.2', sopInstance }, dataSetOf(chestDicom(1))))
    expect(statusOf(await peer.next()).status).toBe(0x0122)
    peer.write(echo())
    expect(statusOf(await peer.next()).status).toBe(0)
  })

  it('is waited for no longer than ARTIM says before it is asked for', async () => {
    using silent = await connectPeer(await start({ ...patient, artimMs: 50 }))
    expect(await silent.next()).toBeUndefined()
  })

  it('is ended no later than ARTIM says when its peer, told to abort, keeps the connection', async () => {
    using peer = await connectPeer(await start({ ...patient, artimMs: 1_000 }))
    peer.write(echo())
    expect(await peer.next()).toMatchObject({ type: pdu.abort })
    expect(await peer.next()).toBeUndefined()
  })

  it('is aborted when it has been idle for as long as idleMs says', async () => {
    using idle = await associate(await start({ ...patient, idleMs: 50 }))
    expect(await idle.next()).toMatchObject({ type: pdu.abort })
  })

  it('is aborted when nothing more of a message comes for as long as stallMs says, and nothing of it is kept', async () => {
    const port = await start({ ...patient, stallMs: 50 })
    using stalled = await associate(port, { contexts: [{ abstract: dx, syntaxes: [explicitLittle] }] })
    const request = store({ sopClass: dx, sopInstance: chestUids(1).sopInstance }, dataSetOf(chestDicom(1)))
    stalled.write(request.subarray(0, 60_000))
    expect(await stalled.next()).toMatchObject({ type: pdu.abort })
    expect(await open?.objectCount()).toBe(0)
  })

  it('may use PDUs as long as maxPduBytes, which it is told, and none that are longer', async () => {
    const port = await start({ maxPduBytes: 16_384 })
    const contexts = [{ abstract: dx, syntaxes: [explicitLittle] }]
    const { sopInstance } = chestUids(1)
    // Beside the bytes: length, context and flags of the value.
    const ofPdus = (bytes: number) => store({ sopClass: dx, sopInstance }, dataSetOf(chestDicom(1)), bytes - 6)
    using told = await connectPeer(port)
    told.write(associateRequest({ contexts }))
    expect((await told.next())?.body.includes(Buffer.from([0x51, 0, 0, 4, 0, 0, 0x40, 0]))).toBe(true)
    told.write(ofPdus(16_384))
    expect(statusOf(await told.next()).status).toBe(0)
    // Twelve more are let pass: some senders leave headers out of their count.
    told.write(ofPdus(16_384 + 13))
    expect(await told.next()).toEqual({ type: pdu.abort, body: Buffer.from([0, 0, 2, 6]) })
  })

  it('is one of two hundred at once, and each image is kept', async () => {
    const port = await start({ maxAssociationsPerCaller: 200, maxUnassociatedPerAddress: 200 })
    const proposal = { contexts: [{ abstract: dx, syntaxes: [explicitLittle] }] }
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, seed) => {
        using peer = await associate(port, proposal)
        peer.write(store({ sopClass: dx, sopInstance: chestUids(seed).sopInstance }, dataSetOf(chestDicom(seed))))
        return statusOf(await peer.next()).status
      }),
    )
    expect(new Set(statuses)).toEqual(new Set([0]))
    expect(new Set(open?.published.map(event => event.id)).size).toBe(200)
  })

  it('ends quietly, and harms no other, whatever bytes a peer sends', async () => {
    const port = await start({ artimMs: 50, idleMs: 50, stallMs: 50 })
    const { sopInstance } = chestUids(1)
    const valid = Buffer.concat([
      associateRequest({ contexts: [{ abstract: dx, syntaxes: [explicitLittle] }] }),
      store({ sopClass: dx, sopInstance }, dataSetOf(chestDicom(1)).subarray(0, 3_000), 1_000),
      releaseRequest(),
    ])
    const mutated = fc
      .array(fc.record({ at: fc.nat(valid.length - 1), to: fc.nat(255) }), { minLength: 1, maxLength: 8 })
      .map(changes => {
        const bytes = Buffer.from(valid)
        for (const { at, to } of changes) bytes[at] = to
        return bytes
      })
    const cut = fc.nat(valid.length).map(at => valid.subarray(0, at))
    const random = fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes))
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, cut, random), async bytes => {
        using peer = await connectPeer(port)
        peer.write(bytes)
        peer.socket.end()
        while (await peer.next());
      }),
      // Seeds that once failed go into `examples`.
      { ...fuzz, examples: [[valid]] },
    )
    // With times as short as these one that does nothing wrong may be ended too, where the machine stands still.
    await until('the next is served', async () => {
      using peer = await associate(port).catch(() => null)
      peer?.write(echo())
      const answer = await peer?.next()
      return answer?.type === pdu.data && statusOf(answer).status === 0
    })
    expect(open?.logs()).not.toContain('fault of ours')
  }, 900_000)
})

describe('the SOP classes', () => {
  it('are all those that dcmjs-dimse knows as storage, and none of its queries', () => {
    const { StorageClass, SopClass } = dcmjs.constants
    const notOfImages = new Set(['1.2.840.10008.1.3.10'])
    const refused = Object.values(StorageClass).filter(uid => !notOfImages.has(uid) && !isStorageClass(uid, false))
    expect(refused).toEqual([])
    expect(Object.values(SopClass).filter(uid => isStorageClass(uid, false))).toEqual([])
  })
})

describe('the transfer syntaxes', () => {
  it('are all those that images are decoded in', async () => {
    const folder = join(import.meta.dirname, '../../models/fixtures/imaging')
    const decoded = new Set<string>()
    for (const file of (await readdir(folder)).filter(name => name.endsWith('.dcm'))) {
      const syntax = readFileMeta(await readFile(join(folder, file)))?.transferSyntax
      if (syntax) decoded.add(syntax)
    }
    expect(decoded.size).toBeGreaterThan(13)
    expect([...decoded].filter(uid => !transferSyntaxes.has(uid))).toEqual([])
  })
})
