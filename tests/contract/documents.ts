/** The contract of a DocumentStore, for every adapter. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StudyDoc } from '../../schemas/documents.ts'
import type { DocumentStore, Page, Query } from '../../storage/documents.ts'
import { blankPrediction, delivery, line, newSite, range, study } from './documents-kit.ts'
import { farPages } from './documents-pages.ts'

export interface OpenedDocuments {
  store: DocumentStore
  /** Ends the process of the store as a crash would and opens it again on the same data. */
  reopen(): Promise<DocumentStore>
  close(): Promise<void>
}

export function documentsContract(name: string, open: () => Promise<OpenedDocuments>): void {
  describe(`${name} keeps the document store contract`, () => {
    let opened: OpenedDocuments
    let store: DocumentStore
    beforeAll(async () => {
      opened = await open()
      store = opened.store
    })
    afterAll(() => opened.close())
    farPages(() => store)

    /** All pages of a query, one after the other. */
    async function pages(query: Query, between?: () => Promise<void>): Promise<StudyDoc[]> {
      const items: StudyDoc[] = []
      let cursor: string | null = null
      do {
        const page: Page<StudyDoc> = await store.find('studies', cursor === null ? query : { ...query, cursor })
        items.push(...page.items)
        cursor = page.next
        await between?.()
      } while (cursor !== null)
      return items
    }

    describe('writing', () => {
      it('keeps one document for an id, the last one written', async () => {
        const site = newSite()
        await store.upsert('studies', [study(site, 1), study(site, 2)])
        await store.upsert('studies', [study(site, 1)])
        await store.upsert('studies', [study(site, 1, { modality: 'DX' })])
        expect(await store.count('studies', { site })).toBe(2)
        expect(await store.get('studies', `${site}-00001`)).toEqual(study(site, 1, { modality: 'DX' }))
        expect(await store.count('studies', { site, modality: 'DX' })).toBe(1)
        expect(await store.count('studies', { site, modality: 'MG' })).toBe(0)
      })

      it('takes the last of two documents with one id in one call', async () => {
        const site = newSite()
        await store.upsert('studies', [study(site, 1), study(site, 1, { modality: 'CT' })])
        expect((await store.get('studies', `${site}-00001`))?.modality).toBe('CT')
      })

      it('gives a claim to exactly one of 50 callers', async () => {
        const id = randomUUID()
        const claims = await Promise.all(
          range(50).map(n => store.insert('deliveries', delivery(id, { destination: String(n) }))),
        )
        expect(claims.filter(Boolean)).toHaveLength(1)
        const winner = claims.indexOf(true)
        expect((await store.get('deliveries', id))?.destination).toBe(String(winner))
        expect(await store.insert('deliveries', delivery(id))).toBe(false)
      })

      it('lets exactly one of 50 who know the same version go on from it', async () => {
        const id = randomUUID()
        expect(await store.advance('worklist', line(id, 1))).toBe(false)
        expect(await store.get('worklist', id)).toBeUndefined()
        await store.insert('worklist', line(id, 1))
        for (const version of [2, 3]) {
          const writers = range(50).map(n => store.advance('worklist', line(id, version, { revision: n })))
          const won = await Promise.all(writers)
          expect(won.filter(Boolean)).toHaveLength(1)
          expect(await store.get('worklist', id)).toEqual(line(id, version, { revision: won.indexOf(true) }))
        }
        expect(await store.advance('worklist', line(id, 3))).toBe(false)
        expect(await store.advance('worklist', line(id, 5))).toBe(false)
        // The same again is another writer, who does not know that it was written.
        expect(await store.advance('worklist', line(id, 4, { site: 'north' }))).toBe(true)
        expect(await store.count('worklist', { id, site: 'north' })).toBe(1)
      })

      it('writes all documents of a call or none', async () => {
        const site = newSite()
        const bad = study(site, 2, { lastAt: Number.NaN })
        await expect(store.upsert('studies', [study(site, 1), bad])).rejects.toMatchObject({ code: 'bad-request' })
        expect(await store.count('studies', { site })).toBe(0)
      })

      it('refuses a document without an id', async () => {
        await expect(store.upsert('studies', [{ ...study('x', 1), id: '' }])).rejects.toMatchObject({
          code: 'bad-request',
        })
      })

      it('says whether it deleted something', async () => {
        const site = newSite()
        await store.upsert('studies', [study(site, 1)])
        expect(await store.delete('studies', `${site}-00001`)).toBe(true)
        expect(await store.delete('studies', `${site}-00001`)).toBe(false)
        expect(await store.get('studies', `${site}-00001`)).toBeUndefined()
      })

      it('has what was answered when it is opened again', async () => {
        const site = newSite()
        await Promise.all(range(100).map(n => store.upsert('studies', [study(site, n)])))
        store = await opened.reopen()
        expect(await store.count('studies', { site })).toBe(100)
      })

      it('gives back any text, and large documents', async () => {
        const id = `${randomUUID()} Größe 像🫁 "' \\ \u0000 $.a; DROP TABLE studies`
        const message = `line\n\u0000\u2028 🫁 ${'x'.repeat(2_000_000)}`
        const doc = delivery(id, { message, destination: "d' OR 1=1 --" })
        await store.upsert('deliveries', [doc])
        expect(await store.get('deliveries', id)).toEqual(doc)
        const { items } = await store.find('deliveries', { where: { destination: "d' OR 1=1 --" } })
        expect(items).toEqual([doc])
      })

      it('says that it is well', async () => {
        await store.check()
      })
    })

    describe('finding', () => {
      it('gives many by id, in the order asked for, without those that are missing', async () => {
        const site = newSite()
        await store.upsert(
          'studies',
          range(5).map(n => study(site, n)),
        )
        const ids = [3, 99, 0, 4].map(n => study(site, n).id)
        expect((await store.getMany('studies', ids)).map(({ id }) => id)).toEqual([ids[0], ids[2], ids[3]])
        expect(await store.getMany('studies', [])).toEqual([])
      })

      it('lists the newest first, or the oldest, with the id deciding between equal times', async () => {
        const site = newSite()
        const docs = range(30).map(n => study(site, n, { lastAt: 1000 + Math.floor(n / 10) }))
        await store.upsert('studies', docs.toReversed())
        const ids = docs.map(({ id }) => id)
        const oldest = await pages({ where: { site }, order: 'oldest', limit: 7 })
        expect(oldest.map(({ id }) => id)).toEqual(ids)
        const newest = await pages({ where: { site }, limit: 7 })
        expect(newest.map(({ id }) => id)).toEqual(ids.toReversed())
      })

      it('gives pages of the size asked for and says when there is nothing more', async () => {
        const site = newSite()
        await store.upsert(
          'studies',
          range(20).map(n => study(site, n)),
        )
        const first = await store.find('studies', { where: { site }, limit: 20 })
        expect(first.items).toHaveLength(20)
        expect(first.next).toBeNull()
        expect((await store.find('studies', { where: { site }, limit: 19 })).next).not.toBeNull()
        expect(await store.find('studies', { where: { site: newSite() } })).toEqual({ items: [], next: null })
      })

      it('passes over as many as are asked for, whatever the filter, and goes on from there by cursor', async () => {
        const site = newSite()
        await store.upsert(
          'studies',
          range(20).map(n => study(site, n)),
        )
        const numbers = async (query: Query) =>
          (await store.find('studies', query)).items.map(({ studyUid }) => Number(studyUid?.slice(4)))
        expect(await numbers({ where: { site }, offset: 3, limit: 4, order: 'oldest' })).toEqual([3, 4, 5, 6])
        const either = { site, modality: { in: ['CR', 'MG'] } }
        expect(await numbers({ where: either, offset: 17, limit: 10 })).toEqual([2, 1, 0])
        expect(await store.find('studies', { where: { site }, offset: 20 })).toEqual({ items: [], next: null })
        const { next } = await store.find('studies', { where: either, offset: 5, limit: 5 })
        expect(await numbers({ where: either, cursor: next ?? '', limit: 2 })).toEqual([9, 8])
        for (const offset of [-1, 1.5, Number.NaN, 1e9])
          await expect(store.find('studies', { offset })).rejects.toMatchObject({ code: 'bad-request' })
      })

      it('neither repeats nor leaves out a document while others are written', async () => {
        const site = newSite()
        await store.upsert(
          'studies',
          range(100).map(n => study(site, n)),
        )
        let extra = 200
        const seen = await pages({ where: { site }, limit: 10 }, async () => {
          await store.upsert('studies', [study(site, extra++), study(site, 1000 + extra, { lastAt: 1 })])
        })
        const ids = seen.map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        expect(ids).toEqual(expect.arrayContaining(range(100).map(n => study(site, n).id)))
      })

      it('filters by value, null, lists and ranges, together', async () => {
        const site = newSite()
        await store.upsert('studies', [
          study(site, 1, { modality: 'CR', patient: 'p1' }),
          study(site, 2, { modality: 'MG', patient: 'p1' }),
          study(site, 3, { modality: null, patient: 'p2' }),
          study(site, 4, { modality: 'CT', patient: null }),
        ])
        const found = async (where: Query['where']) =>
          (await pages({ where: { site, ...where }, order: 'oldest', limit: 1 })).map(({ studyUid }) =>
            studyUid?.slice(4),
          )
        expect(await found({ modality: 'CR' })).toEqual(['1'])
        expect(await found({ modality: null })).toEqual(['3'])
        expect(await found({ modality: { in: ['CR', null, 'CT', 'CR'] } })).toEqual(['1', '3', '4'])
        expect(await found({ modality: { in: ['CR', 'MG'] }, patient: { in: ['p1', null] } })).toEqual(['1', '2'])
        expect(await found({ modality: { in: [] } })).toEqual([])
        expect(await found({ lastAt: { gte: 1002, lt: 1004 } })).toEqual(['2', '3'])
        expect(await found({ lastAt: { gte: 1002 }, patient: 'p1' })).toEqual(['2'])
        expect(await found({ lastAt: 1003 })).toEqual(['3'])
        expect(await found({ id: study(site, 2).id })).toEqual(['2'])
        expect(await found({ modality: 'cr' })).toEqual([])
        const many = range(200).map(n => `other-${n}`)
        expect(await found({ modality: { in: [...many, 'CR', null] } })).toEqual(['1', '3'])
        expect(await store.count('studies', { site, modality: { in: ['CR', null] } })).toBe(2)
      })

      it('filters by fields within fields', async () => {
        const site = newSite()
        const prediction = (n: number, model: string) => ({
          ...blankPrediction,
          id: `${site}-${n}`,
          site,
          predictedAt: n,
          model: { name: model, version: '1', digest: 'd', runtime: 'onnx' },
        })
        await store.upsert('predictions', [prediction(1, 'digits'), prediction(2, 'breast'), prediction(3, 'digits')])
        const { items } = await store.find('predictions', { where: { site, 'model.name': 'digits' } })
        expect(items.map(({ predictedAt }) => predictedAt)).toEqual([3, 1])
        expect(await store.countBy('predictions', 'model.name', { site })).toEqual({ digits: 2, breast: 1 })
      })

      it('counts by field, with null as the empty text', async () => {
        const site = newSite()
        await store.upsert('studies', [
          ...range(4).map(n => study(site, n)),
          study(site, 10, { modality: null }),
          study(site, 11, { modality: '__proto__' }),
        ])
        const counts = await store.countBy('studies', 'modality', { site })
        expect(Object.entries(counts).toSorted()).toEqual([
          ['', 1],
          ['CR', 2],
          ['MG', 2],
          ['__proto__', 1],
        ])
        expect(await store.countBy('studies', 'modality', { site, lastAt: { lt: 1002 } })).toEqual({ CR: 1, MG: 1 })
      })

      it('lists a collection whose time is its id', async () => {
        const site = newSite()
        await store.upsert(
          'patients',
          range(5).map(n => ({ id: `${site}-${n}`, site, sealed: 'x' })),
        )
        const first = await store.find('patients', { where: { site }, limit: 3 })
        expect(first.items.map(({ id }) => id.at(-1))).toEqual(['4', '3', '2'])
        const rest = await store.find('patients', { where: { site }, limit: 3, cursor: first.next ?? '' })
        expect(rest.items.map(({ id }) => id.at(-1))).toEqual(['1', '0'])
      })

      it('refuses filters that are not declared, cursors that are not its own, and limits out of bounds', async () => {
        const refused = { code: 'bad-request' }
        const site = newSite()
        await store.upsert(
          'studies',
          range(3).map(n => study(site, n)),
        )
        await expect(store.find('studies', { where: { bodyPart: 'CHEST' } })).rejects.toMatchObject(refused)
        await expect(store.find('studies', { where: { "site' --": 'x' } })).rejects.toMatchObject(refused)
        await expect(store.count('studies', { firstAt: 1 })).rejects.toMatchObject(refused)
        await expect(store.countBy('studies', 'sealed')).rejects.toMatchObject(refused)
        for (const cursor of ['', 'rubbish', 'W10', Buffer.from('["studies"]').toString('base64url')])
          await expect(store.find('studies', { cursor })).rejects.toMatchObject(refused)
        const { next } = await store.find('studies', { where: { site }, limit: 1 })
        await expect(store.find('studies', { cursor: next ?? '', order: 'oldest' })).rejects.toMatchObject(refused)
        for (const limit of [0, 1001, 1.5, Number.NaN])
          await expect(store.find('studies', { limit })).rejects.toMatchObject(refused)
      })
    })
  })
}
