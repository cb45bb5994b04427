import fc from 'fast-check'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { msUntilOpen, type RetrievalDoc, type RetrievalRunDoc, retrievalRequest } from '../../schemas/retrieval.ts'
import { openStores, type Stores } from '../../tests/harness/stores.ts'
import { until } from '../../tests/harness/until.ts'
import type { Received } from '../intake.ts'
import { openDispatcher } from './dispatcher.ts'
import { readIdentifier, writeIdentifier } from './identifier.ts'
import { boundaryOf, partsOf } from './multipart.ts'
import type { RunContext } from './run.ts'
import { newestBefore, type Source } from './source.ts'
import { newestTerm } from './term.ts'

describe('an identifier', () => {
  it('is read as it was written, tags in order, values padded', () => {
    const identifier = {
      ...{ StudyInstanceUID: '1.2.3', QueryRetrieveLevel: 'STUDY', AccessionNumber: 'A1 é', PatientID: '' },
      SpecificCharacterSet: 'ISO_IR 192',
    }
    const bytes = writeIdentifier(identifier)
    expect(bytes.length % 2).toBe(0)
    expect(bytes.readUInt16LE(2)).toBe(0x0005)
    expect(readIdentifier(bytes)).toMatchObject({ StudyInstanceUID: '1.2.3', QueryRetrieveLevel: 'STUDY' })
  })

  it('that is rubbish is refused, or says nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        try {
          readIdentifier(Buffer.from(bytes))
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'peer-refused' })
        }
      }),
    )
  })
})

async function* cut(bytes: Buffer, sizes: readonly number[]) {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length > 0 ? (sizes[i % sizes.length] ?? 1) : bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function partsIn(body: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = []
  for await (const part of partsOf(body, 'XX')) {
    const chunks: Buffer[] = []
    for await (const chunk of part) chunks.push(chunk)
    found.push(Buffer.concat(chunks).toString())
  }
  return found
}

describe('a multipart answer', () => {
  const body = Buffer.from(
    '--XX\r\nContent-Type: a/b\r\n\r\none\r\n--X\r\n--XX\r\nA: b\r\nC: d\r\n\r\ntwo\r\n--XX--\r\n',
  )

  it('gives the same parts however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 }), async sizes => {
        expect(await partsIn(cut(body, sizes))).toEqual(['one\r\n--X', 'two'])
      }),
    )
  })

  it('that breaks off is truncated wherever it does', async () => {
    for (let length = 0; length < body.length - 4; length++)
      await expect(partsIn(cut(body.subarray(0, length), []))).rejects.toMatchObject({ code: 'truncated' })
  })

  it('names its boundary', () => {
    expect(boundaryOf('multipart/related; type="application/dicom"; boundary="a b"')).toBe('a b')
    expect(boundaryOf('multipart/related; boundary=ab; type=x')).toBe('ab')
    expect(() => boundaryOf('application/json')).toThrow(RaylogError)
  })
})

describe('priors', () => {
  const study = (uid: string, date: string, modalities: string) => ({ uid, date, modalities })
  const all = [
    study('1', '20240101', 'CR'),
    study('2', '20250101', 'CT\\SR'),
    study('3', '', 'CR'),
    study('4', '20260101', 'CR'),
  ]
  const of = { patientId: 'x', issuer: null, before: null, modality: null, most: 10 }

  it('are the newest before the day, of the modality', () => {
    expect(newestBefore(all, of)).toEqual(['4', '2', '1', '3'])
    expect(newestBefore(all, { ...of, before: '2026-01-01' })).toEqual(['2', '1'])
    expect(newestBefore(all, { ...of, modality: 'CT' })).toEqual(['2'])
    expect(newestBefore(all, { ...of, most: 1 })).toEqual(['4'])
  })
})

describe('hours', () => {
  const at = (time: string) => new Date(`2026-03-01T${time}:00`).getTime()
  const night = { from: '20:00', to: '06:00' }

  it('may pass midnight, and end', () => {
    for (const time of ['20:00', '23:59', '00:00', '05:59']) expect(msUntilOpen(night, at(time))).toBe(0)
    expect(msUntilOpen(night, at('06:00'))).toBe(14 * 3_600_000)
    expect(msUntilOpen(night, at('19:59') + 30_000)).toBe(30_000)
    expect(msUntilOpen({ from: '08:00', to: '12:00' }, at('12:00'))).toBe(20 * 3_600_000)
    expect(msUntilOpen(null, at('12:00'))).toBe(0)
  })
})

let stores: Stores
const closing: (() => Promise<void>)[] = []
beforeEach(async () => {
  stores = await openStores()
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await stores.close()
})

/** Peers have two images of each study but of those named; what is kept is counted. */
function process(
  name: string,
  { keep = () => Promise.resolve(), source = {} }: { keep?: () => Promise<void>; source?: Partial<Source> } = {},
) {
  const kept: string[] = []
  const peer: Source = {
    byAccession: async number => (number === 'A1' ? ['1.2.1'] : []),
    priors: async () => ['1.2.9'],
    instances: async study => [1, 2, 1].map(n => ({ series: '1', sopInstance: `${study}.${n}`, sopClass: '1.2' })),
    async fetch(_study, wanted, receive) {
      for (const { sopInstance } of wanted) await receive(nothing(), { sopClass: '1.2', sopInstance })
    },
    ...source,
  }
  const run: RunContext = {
    deps: stores,
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    random: () => 0,
    sourceOf: () => peer,
    siteOf: () => 'main',
    async keep(_retrieval, _file, expected) {
      await keep()
      kept.push(expected?.sopInstance ?? '')
      return undefined as unknown as Received
    },
    came: () => undefined,
    settings: { beatMs: 10, retries: 1, atOnce: 1, longestWaitMs: 20 },
  }
  const close = openDispatcher({ run, owner: name, leaseMs: 30_000, jobs: 2, knows: () => true })
  closing.push(close)
  return { kept, close }
}
async function* nothing(): AsyncGenerator<Buffer> {}

async function asked(body: object): Promise<string> {
  const { accessionNumbers, priors, ...rest } = retrievalRequest.parse({ peer: 'pacs', ...body })
  const doc: RetrievalDoc = {
    ...rest,
    id: 'rt_1',
    sealed: stores.secrets.seal(JSON.stringify({ accessionNumbers, priors }), 'rt_1'),
    asked: { accessionNumbers: accessionNumbers.length, priors: priors !== null },
    ...{ wanted: 'run', phase: 'open', createdAt: 1 },
  }
  await stores.documents.insert('retrievals', doc)
  return doc.id
}
const want = async (wanted: RetrievalDoc['wanted']) => {
  const doc = await stores.documents.get('retrievals', 'rt_1')
  if (doc) await stores.documents.upsert('retrievals', [{ ...doc, wanted }])
}
const inState = (state: RetrievalRunDoc['state']) =>
  until(`it is ${state}`, async () => {
    const run = await newestTerm(stores.documents, 'rt_1')
    return run?.state === state ? run : undefined
  })

describe('a retrieval', () => {
  it('pulls studies, accession numbers and priors, each study once, and says what is unknown', async () => {
    const { kept } = process('a')
    await asked({ studies: ['1.2.1', '1.2.2'], accessionNumbers: ['A1', 'A2'], priors: { patientId: 'p' } })
    expect(await inState('done')).toMatchObject({ unknown: 1, received: 6, owner: null })
    expect(kept).toEqual(['1.2.1.1', '1.2.1.2', '1.2.2.1', '1.2.2.2', '1.2.9.1', '1.2.9.2'])
  })

  it('is worked on by one of several processes', async () => {
    const all = ['a', 'b', 'c'].map(name => process(name))
    await asked({ studies: ['1.2.1', '1.2.2', '1.2.3'] })
    await inState('done')
    expect(all.map(({ kept }) => kept.length).sort()).toEqual([0, 0, 6])
  })

  it('goes on in another process where the one before was stopped, with what is left', async () => {
    let images = 0
    const stopped = Promise.withResolvers<void>()
    const first = process('a', { keep: () => (++images > 2 ? stopped.promise : Promise.resolve()) })
    await asked({ studies: ['1.2.1', '1.2.2'] })
    await until('the first study is here', () => images === 3)
    const closed = first.close()
    stopped.reject(new Error('killed'))
    await closed
    const second = process('b')
    expect(await inState('done')).toMatchObject({ epoch: 2 })
    expect(second.kept).toEqual(['1.2.2.1', '1.2.2.2'])
  })

  it('is paused, resumed and cancelled', async () => {
    process('a', { keep: () => systemClock.sleep(100) })
    await asked({ studies: Array.from({ length: 50 }, (_, n) => `1.2.${n}`) })
    await inState('running')
    await want('pause')
    await inState('paused')
    await want('run')
    await inState('running')
    await want('cancel')
    const { received } = await inState('cancelled')
    expect(received).toBeLessThan(100)
  })

  it('waits for a peer that is away, and fails a study, not the others, that the peer refuses', async () => {
    let away = 3
    process('a', {
      source: {
        async instances(study) {
          if (study === '1.2.1') throw new RaylogError('peer-refused', 'no')
          if (away-- > 0) throw new RaylogError('peer-unavailable', 'away')
          return [{ series: '1', sopInstance: `${study}.1`, sopClass: '1.2' }]
        },
      },
    })
    await asked({ studies: ['1.2.1', '1.2.2', '1.2.3'] })
    const { studies } = await inState('done')
    expect(studies?.map(({ state, code }) => [state, code])).toEqual([
      ['failed', 'peer-refused'],
      ['done', null],
      ['done', null],
    ])
  })

  it('says that images are missing which the peer never sends', async () => {
    process('a', { source: { fetch: async () => undefined } })
    await asked({ studies: ['1.2.1'] })
    const { studies } = await until('it ends', async () => {
      const run = await newestTerm(stores.documents, 'rt_1')
      return run?.state === 'done' ? run : undefined
    })
    expect(studies).toMatchObject([{ state: 'failed', code: 'delivery-failed', expected: 2, here: 0 }])
  }, 60_000)
})
