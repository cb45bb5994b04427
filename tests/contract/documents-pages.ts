/** Of the contract of a DocumentStore: pages far from the beginning, and of fields alone. */
import { describe, expect, it } from 'vitest'
import type { DocumentStore, Query } from '../../storage/documents.ts'
import { newSite, range, study } from './documents-kit.ts'

export function farPages(opened: () => DocumentStore): void {
  describe('pages', () => {
    it('passes over many, whether the beginning or the end is nearer', async () => {
      const none = { uid: '', study: '', modality: null, site: 'far', sealed: '' }
      const count = 25_000
      for (let from = 0; from < count; from += 5_000)
        await opened().upsert(
          'dicomSeries',
          range(5_000).map(n => ({ ...none, id: `far-${String(from + n).padStart(5, '0')}`, at: (from + n) >> 4 })),
        )
      const page = async (query: Query) => {
        const { items, next } = await opened().find('dicomSeries', query)
        const [last] =
          next === null
            ? []
            : (await opened().find('dicomSeries', { ...query, offset: 0, limit: 1, cursor: next })).items
        return { found: items.map(({ id }) => Number(id.slice(4))), next: last && Number(last.id.slice(4)) }
      }
      const from = (offset: number, limit: number) => page({ order: 'oldest', offset, limit })
      expect(await from(1_500, 3)).toEqual({ found: [1_500, 1_501, 1_502], next: 1_503 })
      expect(await from(21_000, 3)).toEqual({ found: [21_000, 21_001, 21_002], next: 21_003 })
      expect(await from(24_997, 2)).toEqual({ found: [24_997, 24_998], next: 24_999 })
      expect(await from(24_997, 3)).toEqual({ found: [24_997, 24_998, 24_999], next: undefined })
      expect(await from(24_999, 9)).toEqual({ found: [24_999], next: undefined })
      expect(await from(25_000, 9)).toEqual({ found: [], next: undefined })
      expect(await page({ offset: 24_000, limit: 2 })).toEqual({ found: [999, 998], next: 997 })
      await opened().upsert('dicomSeries', [{ ...none, id: 'far-25000', at: 25_000 }])
      expect(await from(25_000, 9)).toEqual({ found: [25_000], next: undefined })
      await opened().delete('dicomSeries', 'far-25000')
      expect(await from(24_998, 9)).toEqual({ found: [24_998, 24_999], next: undefined })
      // Where there is a filter nobody knows how many there are.
      expect(await page({ where: { at: { gte: 1 } }, order: 'oldest', offset: 20_001, limit: 1 })).toEqual({
        found: [20_017],
        next: 20_018,
      })
    })

    it('lists declared fields alone, page by page', async () => {
      const site = newSite()
      await opened().upsert(
        'studies',
        range(5).map(n => ({ ...study(site, n), patient: n === 3 ? null : `pt_${n}` })),
      )
      const listed = (query: Query) =>
        opened().list('studies', ['patient', 'lastAt', 'id'], { where: { site }, ...query })
      const whole = (await opened().find('studies', { where: { site } })).items
      const expected = whole.map(({ patient, lastAt, id }) => [patient, lastAt, id])
      expect(expected.map(([patient]) => patient)).toContain(null)
      const first = await listed({ limit: 2 })
      expect(first.items).toEqual(expected.slice(0, 2))
      expect(await listed({ limit: 3, cursor: first.next ?? '' })).toEqual({ items: expected.slice(2), next: null })
      expect((await listed({ order: 'oldest', offset: 4 })).items).toEqual(expected.slice(0, 1))
      await expect(opened().list('studies', ['patient', 'nobody'])).rejects.toMatchObject({ code: 'bad-request' })
    })
  })
}
