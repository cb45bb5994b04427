/** What is written for other systems, read by programs that are not ours. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { javaWith } from '../../../tests/harness/java.ts'
import { pythonWith, runPython } from '../../../tests/harness/python.ts'
import { aContent, aFinding, anImage, aRevision, identity } from '../../../tests/reports/content.ts'
import type { StudyContent } from '../study/format.ts'
import { studyBundle } from './fhir/bundle.ts'
import { studyMessage } from './hl7/study-message.ts'

const kit = resolve(import.meta.dirname, '../../../tests/reports')
const version = '7.6.1'
const checker = await javaWith(
  [
    `ca.uhn.hapi.fhir:hapi-fhir-validation:${version}`,
    `ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4:${version}`,
    `ca.uhn.hapi.fhir:hapi-fhir-structures-r4:${version}`,
    `ca.uhn.hapi.fhir:hapi-fhir-caching-caffeine:${version}`,
    'org.slf4j:slf4j-nop:2.0.16',
  ],
  join(kit, 'java/FhirCheck.java'),
)
const python = await pythonWith(['hl7apy==1.3.5'])

const contents: Record<string, StudyContent> = {
  first: aContent(),
  'revision, in French': aRevision({
    language: 'fr',
    codes: { pneumonia: { scheme: 'RADLEX', value: 'RID5350', meaning: 'pneumonia' } },
  }),
  'series of findings, without a patient id': aContent({
    language: 'es',
    identity: { ...identity, patientId: null, name: 'Σωκράτης^Ἀλέξανδρος & <sons>' },
    images: [anImage(1), anImage(2), { ...anImage(3, null), instance: null, lost: 'The image was erased.' }],
    assessed: {
      ...aContent().assessed,
      findings: ['1.2.3.1', '1.2.3.2', null, 'U', 'B'].map(group => aFinding({ group, label: 'a|b^c&d~e\\f\r\ng' })),
    },
  }),
  'plain images of nobody, nothing looked for': aContent({
    identity: null,
    header: null,
    institution: null,
    codes: {},
    images: [],
    assessed: { ...aContent().assessed, patient: null, modality: null, findings: [] },
  }),
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-reports-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function written(extension: string, text: (content: StudyContent) => string): Promise<string[]> {
  return Promise.all(
    Object.values(contents).map(async (content, i) => {
      const path = join(folder, `${i}.${extension}`)
      await writeFile(path, text(content))
      return path
    }),
  )
}

const pdf = Buffer.from('%PDF-1.7')
const systems = { patients: {}, accessions: null }

describe('HL7', () => {
  it.skipIf('missing' in checker)(
    `FHIR R4: the transactions are valid (${'missing' in checker ? checker.missing : 'HAPI'})`,
    async () => {
      if ('missing' in checker) return
      const files = await written('json', content => JSON.stringify(studyBundle(content, { systems, pdf })))
      const lines = (await checker.run(files)).trim().split('\n')
      expect(lines.filter(line => line.endsWith('\tvalid'))).toHaveLength(files.length)
      expect(lines.filter(line => /\t(ERROR|FATAL|invalid)/.test(line))).toEqual([])
    },
  )

  it.skipIf('missing' in python)(
    `v2: the messages are read strictly (${'missing' in python ? python.missing : 'hl7apy'})`,
    async () => {
      if ('missing' in python) return
      const files = await written('hl7', content => studyMessage(content, { linkBase: 'https://raylog.example', pdf }))
      const [first, revised, series, plain] = JSON.parse(
        await runPython(python.python, [join(kit, 'hl7_check.py'), ...files]),
      )
      expect(first).toMatchObject({ charset: 'UNICODE UTF-8', patient: 'P-17', status: 'P' })
      expect(first.names).toEqual([
        ['Yamada', 'Tarou', 'A'],
        ['山田', '太郎', 'I'],
        ['やまだ', 'たろう', 'P'],
      ])
      expect(first.results).toContainEqual(['CE', '233604007', '52101004^Present^SCT', 'P'])
      expect(first.results).toContainEqual(['NM', 'score', '0.91', 'P'])
      expect(revised).toMatchObject({ status: 'C', filler: first.filler })
      expect(revised.results).toContainEqual(['CE', 'RID5350', '52101004^Present^SCT', 'C'])
      expect(new Set(revised.results.map((one: string[]) => one[3]))).toEqual(new Set(['C']))
      expect(series.names[0]).toEqual(['Σωκράτης', 'Ἀλέξανδρος \\T\\ <sons>', 'A'])
      expect(series.results.filter((one: string[]) => one[0] === 'CE')).toHaveLength(5)
      expect(plain).toMatchObject({ patient: null, names: [] })
    },
  )
})
