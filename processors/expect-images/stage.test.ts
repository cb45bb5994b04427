import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../monitoring/clock.ts'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { platformConfig } from '../../schemas/config.ts'
import { reportEquipment } from '../../schemas/own-report.ts'
import type { AuditEntry, Instance, StudyRequest } from '../../schemas/topics.ts'
import { topics } from '../../schemas/topics.ts'
import { type OpenNode, openNode } from '../../tests/harness/dicom-node.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { openForTest } from '../../tests/harness/stage.ts'
import { until } from '../../tests/harness/until.ts'
import { expectImages } from './stage.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function archive(): Promise<OpenNode> {
  const node = await openNode({ settings: { acceptAnyoneOnThisNetwork: true } })
  closing.push(async () => node[Symbol.asyncDispose]())
  return node
}

async function open(port: number, settings: object = {}, clock: Clock = systemClock) {
  const told: StudyRequest[] = []
  const audited: AuditEntry[] = []
  const lines: string[] = []
  const { peers } = platformConfig.parse({
    peers: [
      { name: 'ct', aeTitle: 'CT1', services: ['store'], addresses: ['127.0.0.1'], countsFrom: 'pacs' },
      { name: 'mr', aeTitle: 'MR1', services: ['store'], addresses: ['127.0.0.1'] },
      { name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port, services: [] },
    ],
  })
  const stage = await openForTest(
    expectImages,
    {},
    {
      clock,
      settings: { quietMs: 50, ...settings },
      network: { peers, dicomTls: null },
      logger: pino({}, { write: line => void lines.push(line) }),
      publish: async (topic, ...events) => {
        if (topic.name === topics.audit.name) audited.push(...(events as AuditEntry[]))
        else told.push(...(events as StudyRequest[]))
        return []
      },
    },
  )
  closing.push(stage.close)
  return { stage, told, audited, lines }
}

/** In steps of what it sleeps for between two looks. */
async function pass(clock: HandClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10) {
    await until('it sleeps', () => clock.sleeping.length > 0)
    clock.move(10)
  }
}

/** What the archive has of the study is what it was sent itself: this event says that one of its images is here. */
async function event(node: OpenNode, peer: string, receivedAt = Date.now()): Promise<Instance> {
  const first = node.stage.published[0]
  if (!first) throw new Error('nothing was kept')
  return { ...first, source: { kind: 'dimse', peer }, receivedAt }
}

describe('a study that a peer with an archive begins to send', () => {
  it('is asked about when nothing came for a while, not before: the archive may be getting it too', async () => {
    const clock = new HandClock(1_000_000)
    const pacs = await archive()
    await pacs.keep(chestDicom(1, { study: 1 }))
    const { stage, told } = await open(pacs.port, {}, clock)
    const image = await event(pacs, 'CT1', clock.now())
    await stage.hand(topics.instances, image)
    await pass(clock, 40)
    await pacs.keep(chestDicom(2, { study: 1 }))
    await stage.hand(topics.instances, image)
    await pass(clock, 40)
    await pacs.keep(chestDicom(3, { study: 1 }))
    await pass(clock, 60)
    await until('it is told', () => told.length > 0)
    expect(told.map(({ images }) => images)).toEqual([3])
  })

  it('is asked about at once where it is retrieved from there', async () => {
    const pacs = await archive()
    await pacs.keep(chestDicom(1, { study: 1 }), chestDicom(2, { study: 1 }))
    const { stage, told, audited } = await open(pacs.port, { quietMs: 3_600_000, aeTitle: 'US' })
    const image = await event(pacs, 'CT1')
    await stage.hand(topics.instances, { ...image, source: { kind: 'retrieve', peer: 'ct' } })
    await until('it is told', () => told.length === 1)
    expect(told[0]).toMatchObject({ study: image.study, images: 2, source: 'pacs' })
    const { study } = chestUids(1)
    expect(audited).toMatchObject([
      {
        ...{ action: 'query', actor: 'US', object: study, outcome: 'success', address: '' },
        detail: { peer: 'pacs', destination: 'PACS', destinationAddress: '127.0.0.1', study },
      },
    ])
    expect(audited[0]?.detail.query).toBe('STUDY StudyInstanceUID NumberOfStudyRelatedInstances')
  })

  it('is asked about again when nothing came for a while: what is new is told', async () => {
    const pacs = await archive()
    await pacs.keep(chestDicom(1, { study: 1 }), chestDicom(2, { study: 1 }))
    const { stage, told } = await open(pacs.port)
    const image = await event(pacs, 'CT1')
    await stage.hand(topics.instances, image)
    await until('it is told', () => told.length === 1)
    expect(told[0]).toMatchObject({ study: image.study, what: 'expect', images: 2, source: 'pacs', actor: 'pacs' })
    await pacs.keep(chestDicom(3, { study: 1 }))
    await stage.hand(topics.instances, image)
    await until('three are told', () => told.length === 2)
    expect(told[1]).toMatchObject({ study: image.study, images: 3 })
    expect(image.dicom?.study).toBe(chestUids(1).study)
  })

  it('is not where the sender has none, it came long ago, or it is a report of ours that comes back', async () => {
    const pacs = await archive()
    await pacs.keep(chestDicom(1))
    const { stage, told } = await open(pacs.port)
    await stage.hand(topics.instances, await event(pacs, 'MR1'))
    await stage.hand(topics.instances, await event(pacs, 'CT1', Date.now() - 3_600_000))
    const image = await event(pacs, 'CT1')
    const { manufacturer, model } = reportEquipment
    await stage.hand(topics.instances, {
      ...image,
      id: 'in_report',
      study: 'st_of_a_report',
      equipment: { station: null, manufacturer, model },
    })
    await stage.hand(topics.instances, image)
    await until('the last is told', () => told.length === 1)
    expect(told[0]?.study).toBe(image.study)
  })

  it('goes on without an answer where the archive is away, and is asked about again', async () => {
    const pacs = await archive()
    await pacs.keep(chestDicom(1))
    const image = await event(pacs, 'CT1')
    await closing.shift()?.()
    const { stage, told, audited, lines } = await open(pacs.port)
    const without = () => lines.filter(line => line.includes('no count of images'))
    for (const times of [1, 2]) {
      await stage.hand(topics.instances, image)
      await until(`${times} questions had no answer`, () => without().length === times)
    }
    expect(JSON.parse(without()[1] ?? '')).toMatchObject({ peer: 'pacs', code: 'peer-unavailable' })
    await stage.close()
    expect(told).toEqual([])
    expect(audited).toEqual([])
  })
})

it('names an archive that the settings do not have', () => {
  const peers = [{ name: 'ct', aeTitle: 'CT1', addresses: ['127.0.0.1'], countsFrom: 'nobody' }]
  expect(platformConfig.safeParse({ peers }).error?.issues[0]?.message).toContain('nobody')
})
