/** What is asked of a peer for a retrieval, as the audit has it. */
import { afterEach, expect, it } from 'vitest'
import type { Audited } from '../../schemas/audit.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { type RetrievalDoc, retrievalRequest } from '../../schemas/retrieval.ts'
import { openNode } from '../../tests/harness/dicom-node.ts'
import { openProducer } from '../../tests/harness/producer.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'
import { auditedSource } from './queries.ts'
import { retrieve } from './stage.ts'
import { newestTerm } from './term.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

it('each query is told with whom it asked and for which attributes, many of one kind once and then how many', async () => {
  const pacs = await openNode()
  closing.push(async () => await pacs[Symbol.asyncDispose]())
  await pacs.keep(chestDicom(1, { study: 1 }))
  const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: pacs.port, services: [] }]
  const stage = await openProducer(retrieve, { network: { peers }, settings: { aeTitle: 'US', beatMs: 50 } })
  closing.push(() => stage.close())
  const { documents, secrets } = stage.stores
  async function ask(id: string, body: object): Promise<void> {
    const { accessionNumbers, priors, ...rest } = retrievalRequest.parse(body)
    const doc: RetrievalDoc = {
      ...{ ...rest, id, sealed: secrets.seal(JSON.stringify({ accessionNumbers, priors }), id) },
      asked: { accessionNumbers: accessionNumbers.length, priors: priors !== null },
      ...{ wanted: 'run', phase: 'open', createdAt: 1 },
    }
    await documents.insert('retrievals', doc)
  }
  const { study } = chestUids(1)
  const accessionNumbers = Array.from({ length: 30 }, (_, n) => `SECRET-${n}`)
  await ask('rt_1', { peer: 'pacs', studies: [study], accessionNumbers })
  await until('it ends', async () => (await newestTerm(documents, 'rt_1'))?.state === 'done')
  await stage.drain()
  const queries = stage.audited.filter(({ action }) => action === 'query')
  const to = { peer: 'pacs', destination: 'PACS', destinationAddress: '127.0.0.1' }
  const byAccession = { ...to, query: 'STUDY AccessionNumber StudyInstanceUID' }
  const ofStudy = { ...to, study, query: 'IMAGE StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID' }
  expect(queries).toEqual(
    [
      { object: 'STUDY', detail: byAccession },
      { object: study, detail: ofStudy },
      { object: 'STUDY', detail: { ...byAccession, count: '29' } },
    ].map(one => expect.objectContaining({ actor: 'US', outcome: 'success', address: '', ...one })),
  )
  expect(JSON.stringify(stage.audited)).not.toContain('SECRET')
})

it('one that is refused is a failure; of one who is away nothing was asked', async () => {
  const told: Audited[] = []
  const refused = new RaylogError('peer-refused', 'no')
  const answers = [refused, new RaylogError('peer-unavailable', 'away')]
  const answer = () => Promise.reject(answers.shift())
  const source = { byAccession: answer, priors: answer, instances: answer, fetch: answer }
  const audited = auditedSource(source, { tellOften: what => told.push(what) }, { actor: 'US', detail: {} })
  const { signal } = new AbortController()
  await expect(audited.instances('1.2.3', signal)).rejects.toBe(refused)
  await expect(audited.instances('1.2.3', signal)).rejects.toMatchObject({ code: 'peer-unavailable' })
  expect(told).toMatchObject([
    { action: 'query', outcome: 'failure', object: '1.2.3', detail: { reason: 'peer-refused' } },
  ])
})
