/** Parked events: what each stage gave up on, to be tried again or let go. */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { NewRecord, TopicInfo } from '../../kafka/log.ts'
import type { ParkedDoc } from '../../schemas/documents.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { onlyHeader } from '../../schemas/topics/parked.ts'
import type { Filter } from '../../storage/documents.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found, page, where } from './context.ts'
import { idParams, listOf, paging, parkedShape, parkedView, word } from './shapes.ts'

const listQuery = z.object({
  state: z.enum(['parked', 'retried', 'dropped']).optional(),
  stage: word,
  code: word,
  subject: word,
  ...paging,
})
const changed = z.object({
  id: z.string(),
  state: z.enum(['parked', 'retried', 'dropped']),
  changed: z.boolean().describe('false: it was no longer parked'),
})
const bulkBody = z.strictObject({ stage: word, code: word })
const bulkAnswer = z.object({ retried: z.int(), remaining: z.int() })

const mostAtOnce = 1000
/** Of records that are held in memory together, and one more at most; their documents hold the same again, as base64. */
const mostBytesAtOnce = 64 * 1024 * 1024
/** Documents that are read at once: no more than these are held beyond the bytes. */
const pageSize = 50
const tags = ['parked']

type Settled = Exclude<ParkedDoc['state'], 'parked'>
/** The topics of the log with their bounds. */
type Listed = () => Promise<TopicInfo[]>

export function addParkedRoutes(app: App, { deps: { documents, log } }: ApiContext): void {
  /** One change at a time in this process, so that a double click does not append twice. */
  let turn: Promise<unknown> = Promise.resolve()
  function inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = turn.then(act, act)
    turn = mine.catch(() => undefined)
    return mine
  }

  /** Asked for once in a request, and only where some record is to be read on the log. */
  function listing(): Listed {
    let found: ReturnType<Listed> | undefined
    return () => {
      found ??= log.topics()
      return found
    }
  }

  /** For the stage that gave up on it alone: the others have handled it. Undefined where its bytes are nowhere any more. */
  async function recordAsItWas(doc: ParkedDoc, listed: Listed): Promise<NewRecord | undefined> {
    const { topic, key, headers, stage } = doc
    const value = doc.value === '' ? await bytesOnLog(doc, listed) : Buffer.from(doc.value, 'base64')
    return value && { topic, key, value, headers: { ...headers, [onlyHeader]: stage } }
  }

  /** Of what was parked without them, as they are too many. A log that was moved may have another record at its place. */
  async function bytesOnLog(doc: ParkedDoc, listed: Listed): Promise<Buffer | undefined> {
    const { topic, partition, offset, key, headers } = doc
    const info = (await listed()).find(({ name }) => name === topic)
    if (!info?.bounds.some(bounds => bounds.partition === partition && offset < bounds.high)) return undefined
    const [record] = await log.read({ topic, partition, offset }, 1)
    const isIt = record?.offset === offset && record.key === key && isDeepStrictEqual({ ...record.headers }, headers)
    return isIt ? record.value : undefined
  }

  async function oneRecord(doc: ParkedDoc): Promise<NewRecord> {
    const record = await recordAsItWas(doc, listing())
    if (record !== undefined) return record
    const where = `${doc.topic}/${doc.partition}/${doc.offset}`
    throw new RaylogError('bad-request', `It was parked without its bytes, and the log no longer has it at ${where}.`)
  }

  /** Those of the oldest that can be retried; what cannot stays, and does not stand in the way of the others. */
  async function retriable(filter: Filter): Promise<{ docs: ParkedDoc[]; records: NewRecord[]; left: number }> {
    const [docs, records]: [ParkedDoc[], NewRecord[]] = [[], []]
    let [left, bytes] = [0, 0]
    const listed = listing()
    for (let cursor: string | undefined; ; ) {
      const limit = Math.min(pageSize, mostAtOnce - docs.length)
      const query = { where: filter, order: 'oldest' as const, ...page({ cursor, limit }) }
      const { items, next } = await documents.find('parked', query)
      for (const doc of items) {
        const record = await recordAsItWas(doc, listed)
        if (record === undefined) {
          left++
          continue
        }
        docs.push(doc)
        records.push(record)
        bytes += record.value.byteLength
        if (bytes >= mostBytesAtOnce) return { docs, records, left }
      }
      if (next === null || docs.length >= mostAtOnce) return { docs, records, left }
      cursor = next
    }
  }

  /** Append first: after a crash in between it is parked still, and a second retry writes the same results again. */
  async function settle(docs: readonly ParkedDoc[], records: readonly NewRecord[], state: Settled): Promise<void> {
    if (records.length > 0) await log.append(records)
    await documents.upsert(
      'parked',
      docs.map(doc => ({ ...doc, state })),
    )
  }

  const settleOne = (id: string, state: Settled) =>
    inTurn(async () => {
      const doc = found(await documents.get('parked', id), 'parked event')
      if (doc.state !== 'parked') return { id, state: doc.state, changed: false }
      await settle([doc], state === 'retried' ? [await oneRecord(doc)] : [], state)
      return { id, state, changed: true }
    })

  app.get(
    '/parked',
    { schema: { tags, summary: 'List', querystring: listQuery, response: { 200: listOf(parkedShape), ...problems } } },
    async ({ query: { cursor, limit, ...fields } }) => {
      const { items, next } = await documents.find('parked', { where: where(fields), ...page({ cursor, limit }) })
      return { items: items.map(parkedView), next }
    },
  )
  app.post(
    '/parked/:id/retry',
    {
      schema: {
        tags,
        summary: 'Hand it to its stage again',
        params: idParams,
        response: { 200: changed, ...problems },
      },
    },
    ({ params }) => settleOne(params.id, 'retried'),
  )
  app.post(
    '/parked/:id/drop',
    { schema: { tags, summary: 'Let it go', params: idParams, response: { 200: changed, ...problems } } },
    ({ params }) => settleOne(params.id, 'dropped'),
  )
  app.post(
    '/parked/retry',
    {
      schema: {
        tags,
        summary: 'Hand many to their stages again, oldest first, up to 1,000; what the log no longer has stays',
        body: bulkBody,
        response: { 200: bulkAnswer, ...problems },
      },
    },
    ({ body }) =>
      inTurn(async () => {
        const filter = where({ ...body, state: 'parked' })
        const { docs, records, left } = await retriable(filter)
        // Counted before: what fails again is parked anew, and must not make a caller who asks until 0 go on for ever.
        const remaining = (await documents.count('parked', filter)) - docs.length - left
        if (docs.length > 0) await settle(docs, records, 'retried')
        return { retried: docs.length, remaining: Math.max(0, remaining) }
      }),
  )
}
