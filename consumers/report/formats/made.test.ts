/** The stage with real formats on real images: what it stores, and that twice is once. */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { EmbeddedLog } from '../../../kafka/embedded/log.ts'
import { chestDicom } from '../../../producers/simulator/phantoms.ts'
import { ids } from '../../../schemas/ids.ts'
import { type Report, type StudyAssessed, topics } from '../../../schemas/topics.ts'
import { type OpenedStage, openForTest } from '../../../tests/harness/stage.ts'
import { openLog, openStores, type Stores } from '../../../tests/harness/stores.ts'
import { keepStudy } from '../../../tests/reports/kit.ts'
import { report } from '../stage.ts'
import { studyReport } from './json/schema.ts'

const formats = ['pdf-study', 'fhir', 'hl7', 'json', 'csv']

let stores: Stores
let log: EmbeddedLog
let stage: OpenedStage
beforeEach(async () => {
  stores = await openStores()
  log = await openLog(join(stores.folder, 'log'))
  stage = await openForTest(report, { ...stores, log }, { settings: { formats, attachPdf: true, language: 'es' } })
})
afterEach(async () => {
  await stage.close()
  await log.close()
  await stores.close()
})

async function made(assessed: StudyAssessed) {
  const events = (await stage.hand(topics.studies, assessed)).map(({ event }) => event as Report)
  const one = (format: string) => events.find(event => event.format === format && event.outcome === 'made')
  return {
    events,
    text: async (format: string) => (await stores.objects.get(one(format)?.object ?? '')).toString('latin1'),
  }
}

it('a study of radiographs is there in every format, once however often it is asked for', async () => {
  const files = [1, 2].map(seed => chestDicom(seed, { study: 1, size: 128 }))
  const { assessed } = await keepStudy(stores, files)
  const first = await made(assessed)
  expect(first.events.map(({ format, outcome }) => [format, outcome]).sort()).toEqual(
    formats.map(format => [format, 'made']).sort(),
  )
  const again = await made(assessed)
  expect(again.events.map(({ id, object }) => [id, object])).toEqual(first.events.map(({ id, object }) => [id, object]))
  expect(await first.text('pdf-study')).toMatch(/^%PDF-1\.7[\s\S]*\/DCTDecode/)
  const { patient, findings } = studyReport.parse(JSON.parse(await first.text('json')))
  expect(patient).toMatchObject({ pseudonym: assessed.patient, name: null })
  expect(findings[0]?.code?.value).toBe('233604007')
  // Systems of the hospital need to know whose it is, and have the report for people in them.
  expect(await first.text('hl7')).toMatch(/\rPID\|1\|\|[^|]+\|\|Demo\^Phantom/)
  expect(await first.text('hl7')).toContain('|RAYLOG^AP^PDF^Base64^JVBERi0x')
  expect(JSON.parse(await first.text('fhir')).entry).toContainEqual(
    expect.objectContaining({ resource: expect.objectContaining({ resourceType: 'Patient' }) }),
  )
})

it('a revision says in every format which it replaces, and the events which are superseded', async () => {
  const { assessed } = await keepStudy(stores, [chestDicom(3, { study: 2, size: 64 })])
  const first = await made(assessed)
  const changes = { images: [], series: [], findings: [] }
  const id = ids.studyRevision(assessed.study, 2)
  const second = await made({ ...assessed, id, revision: 2, changes, assessedAt: (assessed.assessedAt ?? 0) + 1000 })
  const superseded = second.events.filter(({ outcome }) => outcome === 'superseded').map(one => one.id)
  expect(superseded.sort()).toEqual(first.events.map(one => one.id).sort())
  expect(JSON.parse(await second.text('json'))).toMatchObject({ replaces: 1, status: 'amended' })
  expect(await second.text('hl7')).toMatch(/\|RAD\|C\r/)
  expect(await second.text('fhir')).toContain('"role":"revision"')
})
