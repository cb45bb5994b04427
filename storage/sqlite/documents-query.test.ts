import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { collections, type Documents } from '../../schemas/documents.ts'
import type { Filter, Query } from '../documents.ts'
import { countBySql, countSql, cursorOf, findSql, type Sql } from './documents-query.ts'
import { makeTables } from './documents-tables.ts'

type Prediction = Pick<
  Documents['predictions'],
  'id' | 'site' | 'study' | 'instance' | 'label' | 'role' | 'predictedAt'
>

describe('queries of the document store', () => {
  const db = new DatabaseSync(':memory:')
  makeTables(db)
  const add = db.prepare('INSERT INTO predictions (id, json) VALUES (?, ?)')
  for (let n = 0; n < 3000; n++) {
    const doc: Prediction & { model: { name: string } } = {
      id: `p${n}`,
      site: 'main',
      study: `s${n % 900}`,
      instance: `i${n}`,
      label: n % 3 === 0 ? 'abnormal' : 'normal',
      role: n % 20 === 0 ? 'shadow' : 'production',
      predictedAt: n,
      model: { name: n % 2 === 0 ? 'breast' : 'digits' },
    }
    add.run(doc.id, JSON.stringify(doc))
  }
  db.exec('PRAGMA analysis_limit = 1000; ANALYZE')
  afterAll(() => db.close())

  const planOf = ({ text, values }: Sql): string =>
    db
      .prepare(`EXPLAIN QUERY PLAN ${text}`)
      .all(...values)
      .map(row => String(row.detail))
      .join('\n')

  const after = { cursor: cursorOf('predictions', 'newest', { time: 1500, id: 'p1500' }) }
  const wheres: [string, Filter][] = [
    ['nothing', {}],
    ['site', { site: 'main' }],
    ['site and study', { site: 'main', study: 's7' }],
    ['site and role', { site: 'main', role: 'shadow' }],
    ['several roles', { site: 'main', role: { in: ['shadow', 'canary', null] } }],
    ['model and label', { site: 'main', 'model.name': 'breast', label: 'abnormal' }],
    ['a time range', { predictedAt: { gte: 100, lt: 2000 } }],
    ['site and a time range', { site: 'main', predictedAt: { gte: 100 } }],
  ]

  it('list what an index carries without looking at the documents', () => {
    const carried = findSql('dicomStudies', {}, { fields: ['id', 'mark'] })
    expect(planOf(carried)).toContain('USING INDEX dicomStudies by time with mark')
    expect(planOf(carried)).not.toContain('TEMP B-TREE')
    // What is not in the index is taken out of the JSON. (A column that is made so is not called covered, though it is.)
    const readsJson = ({ text, values }: Sql): boolean =>
      db
        .prepare(`EXPLAIN ${text}`)
        .all(...values)
        .some(row => String(row.p4).startsWith('json_extract'))
    expect(readsJson(carried)).toBe(false)
    expect(readsJson(findSql('dicomStudies', {}, { fields: ['id', 'uid'] }))).toBe(true)
  })

  it.each(wheres)('list pages in the order of an index, without sorting: %s', (_, where) => {
    for (const query of [{ where }, { where, ...after }] satisfies Query[]) {
      const plan = planOf(findSql('predictions', query))
      expect(plan).toMatch(/predictions USING INDEX/)
      expect(plan).not.toMatch(/SCAN predictions(?! USING INDEX)/)
      // Merging alternatives sorts the page of each; what a table gives is in order already.
      expect(plan).not.toMatch(/predictions USING INDEX[^\n]*\nUSE TEMP B-TREE/)
    }
  })

  it('begin a page where the one before ended, by the index', () => {
    expect(planOf(findSql('predictions', { where: { role: 'shadow' }, ...after }))).toMatch(
      /predictions by role.*\(role=\? AND \(predictedAt,id\)<\(\?,\?\)\)/,
    )
  })

  it('look up the study, not the site that everything has', () => {
    expect(planOf(findSql('predictions', { where: { site: 'main', study: 's7' } }))).toContain('predictions by study')
  })

  it('count within a site from one index', () => {
    expect(planOf(countBySql('predictions', 'role', { site: 'main' }))).toBe(
      'SCAN predictions USING INDEX predictions by role',
    )
    expect(planOf(countSql('predictions', { site: 'main', label: 'normal' }))).toBe(
      'SEARCH predictions USING INDEX predictions by label (label=?)',
    )
  })

  it('bind every value and name only what is declared', () => {
    const evil = `'"; DROP TABLE predictions; --`
    const { text, values } = findSql('predictions', { where: { study: evil, label: { in: [evil] } } })
    expect(text).not.toContain('DROP')
    expect(values.filter(value => value === evil)).toHaveLength(2)
    expect(() => countSql('predictions', { [evil]: 1 })).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('can be asked of every declared filter of every collection', () => {
    for (const [name, { filters }] of Object.entries(collections)) {
      const columns = new Set(
        db
          .prepare(`PRAGMA table_xinfo("${name}")`)
          .all()
          .map(row => row.name),
      )
      for (const filter of filters) expect(columns).toContain(filter)
    }
  })

  it('get a column and an index for a filter that is declared later', () => {
    const old = new DatabaseSync(':memory:')
    old.exec('CREATE TABLE studies (id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL)')
    old.prepare('INSERT INTO studies VALUES (?, ?)').run('a', '{"id":"a","modality":"CR","lastAt":1}')
    makeTables(old)
    expect(old.prepare("SELECT id FROM studies WHERE modality = 'CR'").all()).toHaveLength(1)
    makeTables(old)
    old.close()
  })
})
