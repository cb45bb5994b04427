/**
 * Thousands of damaged files by C-STORE and STOW-RS, and damaged messages of every DIMSE service, against one node at which an
 * honest sender is at work. RAYLOG_FUZZ_RUNS is how many files (a fifth as many streams), RAYLOG_FUZZ_SEED which.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { pdu } from '../../dicom/pdu.ts'
import { storeService } from '../../producers/dimse/services/store.ts'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { listAll } from '../harness/census.ts'
import {
  associate,
  connectPeer,
  dataSetOf,
  explicitLittle,
  type Peer,
  releaseRequest,
  statusOf,
  store,
} from '../harness/dicom-peer.ts'
import { heldBy, inspectable } from '../harness/heap.ts'
import { type LittlePeer, startPeer } from '../harness/little-peer.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { checkStored, ofMessages, ofReading, stow } from './answers.ts'
import { connections, idle, objectFiles, openFiles } from './left-behind.ts'
import { contextsOfMutants, type Mutant, mutants, type Stream, storeOf, streams } from './mutants.ts'

const runs = Number(process.env.RAYLOG_FUZZ_RUNS ?? 2_000)
const seed = Number(process.env.RAYLOG_FUZZ_SEED ?? 20_261)
/** An honest image for so many damaged ones. */
const attackersToOne = 10
/** What is live may grow by, bytes: what caches with bounds (opened objects, pictures, the end of the log) take as they fill. */
const mostGrowth = 96 * 1024 * 1024
/** Sockets of our own client that are kept for the next request, and the like. */
const fewMore = 8
/** Its study is what the messages ask for. */
const firstHonest = 1_000_000
const { study } = chestUids(firstHonest)
const archiveTitle = 'ARCHIVE'
/** What comes from it is de-identified. */
const cleaned = 'CLEANED'
const anyone = '1.2.840.10008.5.1.4.1.1.1.1'

let raylog: Raylog
let archive: LittlePeer
beforeAll(async () => {
  const taken = storeService(
    async ({ dataSet }) => {
      for await (const _ of dataSet?.bytes() ?? []);
    },
    pino({ level: 'silent' }),
  )
  archive = await startPeer(archiveTitle, [taken])
  raylog = await startRaylog({
    nodeFlags: [inspectable],
    set: [
      `peers=[{name: archive, aeTitle: ${archiveTitle}, host: 127.0.0.1, port: ${archive.port}, services: []}]`,
      `deidentify.sources=["dimse:${cleaned}"]`,
      'deidentify.pixels.unknown=keep',
      'models.workers=1',
      // Who sends half a message waits so long to hear of it.
      ...['dimse.artimMs=2000', 'dimse.idleMs=2000', 'dimse.stallMs=2000'],
    ],
  })
})
afterAll(async () => {
  await raylog?.[Symbol.asyncDispose]()
  await archive?.close()
})

/** Runs all, some at once; what one throws names it. */
async function all<T>(these: readonly T[], work: (one: T, i: number) => Promise<void>, atOnce = 4): Promise<void> {
  const each = these.entries()
  const worker = async () => {
    for (const [i, one] of each)
      await work(one, i).catch(thrown => {
        throw new Error(`number ${i} of seed ${seed}`, { cause: thrown })
      })
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Sends radiographs over an association of its own, one each time that it is told to, and hears of each that it is stored. */
async function honestSender(from: number) {
  const peer = await associate(raylog.dicomPort, { contexts: [{ abstract: anyone, syntaxes: [explicitLittle] }] })
  const sent: string[] = []
  let working = Promise.resolve()
  const sendOne = async () => {
    const number = from + sent.length
    const { sopClass, sopInstance } = chestUids(number)
    sent.push(sopInstance)
    peer.write(store({ sopClass, sopInstance }, dataSetOf(chestDicom(number, { size: 64 }))))
    expect(statusOf(await peer.next()).status).toBe(0)
  }
  return {
    sent,
    sendOne: () => (working = working.then(sendOne)),
    async [Symbol.asyncDispose]() {
      await working
      peer[Symbol.dispose]()
    },
  }
}

const stored = { byStore: new Set<string>(), byStow: new Set<string>(), cleaned: 0, honest: new Set<string>() }

let before: Awaited<ReturnType<typeof settled>> | undefined

async function attackWithFiles(these: readonly Mutant[], from: number): Promise<void> {
  const contexts = contextsOfMutants
  const open = (calling: string) => associate(raylog.dicomPort, { contexts, calling })
  await using honest = await honestSender(from)
  const peers: [Peer, Peer][] = []
  for (let i = 0; i < 4; i++) peers.push([await open('ATTACKER'), await open(cleaned)])
  const send = async (peer: Peer, mutant: Mutant) => {
    peer.write(storeOf(mutant))
    return checkStored(statusOf(await peer.next()))
  }
  await Promise.all(
    peers.map(([plain, clean], worker) =>
      all(
        these.filter((_, i) => i % peers.length === worker),
        async (mutant, i) => {
          if (i % attackersToOne === 0) void honest.sendOne()
          if (i % 3 === 0 && (await send(plain, mutant))) stored.byStore.add(mutant.sopInstance)
          if (i % 3 === 1 && (await send(clean, mutant))) stored.cleaned++
          if (i % 3 !== 2) return
          const kept = await stow(raylog, mutant.bytes)
          if (kept !== undefined) stored.byStow.add(kept)
        },
        1,
      ),
    ),
  )
  for (const uid of honest.sent) stored.honest.add(uid)
  for (const peer of peers.flat()) peer[Symbol.dispose]()
}

/** Names of the messages that some response came to. */
const answered = new Set<string>()
async function attackWithStreams(these: readonly Stream[], from: number): Promise<void> {
  await all(
    these,
    async ({ service, name, bytes, ends, right }, i) => {
      if (i % attackersToOne === 0) {
        await using honest = await honestSender(from + i)
        await honest.sendOne()
        for (const uid of honest.sent) stored.honest.add(uid)
      }
      using peer = await connectPeer(raylog.dicomPort)
      peer.write(bytes)
      if (ends) peer.socket.end()
      const statuses: number[] = []
      for (let came = await peer.next(); came !== undefined; came = await peer.next()) {
        const { status } = came.type === pdu.data ? statusOf(came) : { status: -1 }
        if (status === -1) continue // a data set
        statuses.push(status)
        if (!ends && status >> 8 !== 0xff) peer.write(releaseRequest())
      }
      const last = statuses.at(-1)
      if (right && !ends) expect(right, name).toContain(last)
      for (const status of statuses) expect(ofMessages, name).toContain(status)
      if (last !== undefined) answered.add(service)
    },
    50,
  )
}

interface Listed {
  id: string
  object: { key: string }
  source: { peer: string }
  dicom: { study: string; series: string; sopInstance: string } | null
}

const instances = () => listAll<Listed>(raylog, 'instances')

/** What was stored is read as JSON, transcoded, and as a picture: it is answered, or refused as what it is. */
async function readAll(these: readonly Listed[]): Promise<void> {
  const explicit = { accept: `multipart/related; type="application/dicom"; transfer-syntax=${explicitLittle}` }
  const headers = { authorization: `Bearer ${raylog.token}` }
  await all(these, async ({ id, dicom, source }) => {
    if (!dicom) throw new Error(`${id} is no DICOM`)
    const [study, series, sop] = [dicom.study, dicom.series, dicom.sopInstance].map(encodeURIComponent)
    const path = `/dicomweb/studies/${study}/series/${series}/instances/${sop}`
    const asked: [string, Record<string, string>][] = [
      [`${path}/metadata`, {}],
      [path, explicit],
      [`/api/v1/instances/${id}/preview`, {}],
    ]
    for (const [what, more] of asked) {
      const answer = await fetch(raylog.url + what, { headers: { ...headers, ...more } })
      const body = Buffer.from(await answer.arrayBuffer())
      if (source.peer === cleaned) expect(body.includes('Canary^Patient'), what).toBe(false)
      if (answer.ok) continue
      const { code } = z.object({ code: z.string() }).parse(JSON.parse(body.toString()))
      if (!ofReading.has(code)) throw new Error(`${what}: ${answer.status} ${body.toString().slice(0, 400)}`)
    }
  })
}

async function settled() {
  await idle(raylog)
  await until('every association is over', () => connections(raylog) === 0)
  await until('no object is being written', () => readdirSync(join(raylog.data, 'objects', 'incoming')).length === 0)
  const { live } = await heldBy(raylog)
  return { files: openFiles(raylog), live }
}

describe('a node among damaged files and messages', () => {
  it(`answers each of ${runs} files and ${runs / 5} streams as the table says, and keeps what is honest`, async () => {
    // What is made once is made before it is counted: threads, caches, databases.
    await attackWithFiles(mutants(200, seed + 1), firstHonest)
    await attackWithStreams(streams(100, seed + 1, study), 2_000_000)
    await idle(raylog)
    await readAll((await instances()).slice(0, 100))
    before = await settled()
    await attackWithFiles(mutants(runs, seed), 3_000_000)
    await attackWithStreams(streams(runs / 5, seed, study), 4_000_000)
    await idle(raylog)
    const found = new Set((await instances()).map(({ dicom }) => dicom?.sopInstance))
    const acknowledged = [...stored.honest, ...stored.byStore, ...stored.byStow]
    expect(acknowledged.filter(uid => !found.has(uid))).toEqual([])
    // Of each third of the files some is stored in spite of its damage, and each kind of message is answered.
    for (const said of [stored.byStore.size, stored.byStow.size, stored.cleaned])
      expect(said).toBeGreaterThan(runs / 50)
    expect(answered.size).toBe(9)
    expect(stored.honest.size).toBeGreaterThan(runs / attackersToOne)
  }, 3_600_000)

  it('answers for each that it stored, as JSON, in another transfer syntax and as a picture', async () => {
    await readAll(await instances())
  }, 3_600_000)

  it('has nothing open and nothing unfinished afterwards, and holds no more than before', async () => {
    const after = await settled()
    console.log(`live, MB: ${before ? before.live / 1e6 : 0} before, ${after.live / 1e6} after`)
    for (const [kind, count] of Object.entries(after.files))
      expect(count, kind).toBeLessThanOrEqual((before?.files[kind] ?? 0) + fewMore)
    expect(after.live - (before?.live ?? 0)).toBeLessThan(mostGrowth)
  })

  it('has an object for each document, and none besides', async () => {
    const [images, reports] = await Promise.all([instances(), listAll<{ object: string | null }>(raylog, 'reports')])
    const named = new Set([...images.map(({ object }) => object.key), ...reports.map(({ object }) => object)])
    await until('every object has its file', () => objectFiles(raylog).length >= named.size)
    const left = objectFiles(raylog).filter(key => !named.has(key))
    // A report that is made again of an image that came again takes the place of the first, whose file a sweep finds.
    const isImage = (key: string) =>
      readFileSync(join(raylog.data, 'objects', key)).toString('latin1', 128, 132) === 'DICM'
    expect(left.filter(isImage)).toEqual([])
  })

  it('is well, and found no fault of its own', async () => {
    expect((await raylog.json<{ ok: boolean }>('/api/v1/monitoring/health')).ok).toBe(true)
    expect(raylog.logs().match(/^.*(?:"code":"internal"|fault of ours|Unhandled|ExceededWarning).*$/gm) ?? []).toEqual(
      [],
    )
    expect(await raylog.stop()).toBe(0)
  })
})
