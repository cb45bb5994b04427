/** Reports for the PACS, of real images, read by tools that nobody here wrote: dciodvfy, dsrdump, pydicom and highdicom. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { EmbeddedLog } from '../../../kafka/embedded/log.ts'
import { holds, instanceOf, temporaryFolder, testEngine } from '../../../models/testing.ts'
import { ids, uids } from '../../../schemas/ids.ts'
import { type Instance, type Report, type StudyAssessed, topics } from '../../../schemas/topics.ts'
import { pythonWith, runPython } from '../../../tests/harness/python.ts'
import { type OpenedStage, openForTest } from '../../../tests/harness/stage.ts'
import { openLog, openStores, type Stores } from '../../../tests/harness/stores.ts'
import { keepStudy } from '../../../tests/reports/kit.ts'
import { sharedPath } from '../../../tests/shared.ts'
import { studyFormats } from '../formats.ts'
import { renderPage } from '../pdf-page.ts'
import { reportStage } from '../stage.ts'
import { type StudyFormat, whole } from '../study/format.ts'

const run = promisify(execFile)
const corpus = sharedPath('data', 'dicom')

function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch (thrown) {
    return !(thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT')
  }
}

const without = ['dciodvfy', 'dsrdump'].filter(tool => !has(tool))
const python = await pythonWith(['pydicom==3.0.1', 'highdicom==0.28.2'])
const lacks = [
  ...without,
  ...(corpus === undefined ? ['RAYLOG_SHARED'] : []),
  ...('missing' in python ? [python.missing] : []),
]

/** What dciodvfy calls them. */
const iods: Record<string, string> = {
  'dicom-sr': 'Comprehensive3DSR',
  'dicom-sc': 'SCImage',
  'dicom-seg': 'Segmentation',
  'dicom-pdf': 'EncapsulatedPDF',
}

/** A page of one prediction stands in for the report of a study: what is wrapped does not matter here. */
const page: StudyFormat = {
  name: 'pdf-study',
  contentType: 'application/pdf',
  async render({ images: [image] }) {
    const prediction = image?.said[0]?.prediction
    if (!prediction) return []
    const nothing = { image: null, preview: { missing: '' }, patient: null }
    return whole(await renderPage({ prediction, ...nothing, researchUseOnly: true, language: 'en' }))
  },
}

const group = z.object({
  tracking: z.string(),
  finding: z.string(),
  scheme: z.string(),
  code: z.string(),
  certainty: z.array(z.number()),
  algorithm: z.record(z.string(), z.string()),
})
const read = z.object({
  uid: z.string(),
  study: z.string(),
  name: z.string(),
  patient: z.string(),
  shape: z.array(z.number()).nullable(),
  predecessors: z.array(z.string()),
  groups: z.array(group.extend({ sources: z.array(z.string()) })).optional(),
  regions: z.array(group.extend({ outline: z.array(z.array(z.number())) })).optional(),
  segments: z.array(z.array(z.string())).optional(),
  sources: z.array(z.string()).optional(),
  /** Row and column of each pixel that is set, by frame. */
  set: z.array(z.array(z.tuple([z.number(), z.number()]))).optional(),
  affine: z.array(z.array(z.number())).nullable().optional(),
})

const radiograph = 'cr-chest-ai__1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm'
const region = { label: 'pneumonia', score: 0.8, frame: 1, points: [10, 10, 30, 10, 30, 20, 10, 20] }

describe.skipIf(lacks.length > 0)(
  `objects of reports, read by others${lacks.length > 0 ? ` (lacks ${lacks})` : ''}`,
  () => {
    let folder: string
    let opened: Stores
    let stores: Stores & { log: EmbeddedLog }
    let stage: OpenedStage
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'raylog-reports-'))
      opened = await openStores()
      stores = { ...opened, log: await openLog(join(opened.folder, 'log')) }
      const formats = ['dicom-sr', 'dicom-sc', 'dicom-seg', 'dicom-pdf']
      const settings = { codes: { nodule: { scheme: 'RADLEX', value: 'RID3875', meaning: 'nodule' } } }
      stage = await openForTest(reportStage({ ...studyFormats, 'pdf-study': () => page }, formats), stores, {
        settings,
      })
    })
    afterAll(async () => {
      await stage.close()
      await stores.log.close()
      await opened.close()
      await rm(folder, { recursive: true })
    })

    async function kept(
      names: readonly string[],
      label = 'pneumonia',
    ): Promise<{ assessed: StudyAssessed; instances: Instance[] }> {
      const files = await Promise.all(names.map(name => readFile(join(corpus ?? '', name))))
      const said = { label, regions: [{ ...region, label }], quality: ['near-threshold'] }
      return keepStudy(stores, files, { said: () => said })
    }

    /** Paths by format. */
    async function made(assessed: StudyAssessed): Promise<Map<string, string>> {
      const events = (await stage.hand(topics.studies, assessed)).map(({ event }) => event as Report)
      const paths = new Map<string, string>()
      for (const { id, format, object, outcome } of events) {
        if (outcome !== 'made') continue
        const path = join(folder, `${id}.dcm`)
        await writeFile(path, await stores.objects.get(object ?? ''))
        paths.set(format, path)
      }
      expect([...paths.keys()].sort()).toEqual(['dicom-pdf', 'dicom-sc', 'dicom-seg', 'dicom-sr'])
      return paths
    }

    /** What dciodvfy finds wrong; it ends with 1 then, and says it on stderr, as it says what it took the object for. */
    async function errorsOf(format: string, path: string): Promise<string[]> {
      const { code, stderr } = await run('dciodvfy', ['-new', path], { encoding: 'latin1' }).then(
        said => ({ ...said, code: 0 }),
        thrown => z.object({ code: z.literal(1), stderr: z.string() }).parse(thrown),
      )
      const lines = stderr.split('\n')
      const errors = lines.filter(line => line.startsWith('Error'))
      expect(lines, 'it has read what it judges').toContain(iods[format])
      expect(code).toBe(errors.length > 0 ? 1 : 0)
      return errors
    }

    async function readBack(paths: Map<string, string>) {
      if ('missing' in python) throw new Error(python.missing)
      const script = join(import.meta.dirname, '../../../tests/reports/read-dicom.py')
      const all = z.array(read).parse(JSON.parse(await runPython(python.python, [script, ...paths.values()])))
      return new Map([...paths.keys()].map((format, i) => [format, all[i]]))
    }

    it.each([
      ['a chest radiograph', radiograph, false],
      ['a mammogram', 'mg-3064x4664__MG1_J2KI.dcm', false],
      ['a CT', 'ct-ref-explicit__CT1_UNC.dcm', true],
      ['an enhanced CT', 'enhanced-ct-supp-palette__eCT_Supplemental.dcm', true],
      ['an image of a patient with a Japanese name', 'charset__chrH31.dcm', false],
    ])('of %s are valid, whole, and filed with their study', async (_, name, inSpace) => {
      const { assessed, instances } = await kept([name])
      const [instance] = instances
      const paths = await made(assessed)
      for (const [format, path] of paths) expect(await errorsOf(format, path), format).toEqual([])
      const found = await readBack(paths)
      for (const one of found.values()) expect(one?.study).toBe(instance?.dicom?.study)
      expect(new Set([...found.values()].map(one => one?.uid)).size).toBe(4)

      const sr = found.get('dicom-sr')
      const algorithm = { 'Algorithm Name': 'chest', 'Algorithm Version': '1.0.0' }
      // The finding of the study, and the answer that it rests on.
      const said = { finding: 'Pneumonia', scheme: 'SCT', certainty: [91], algorithm }
      const sources = [instance?.dicom?.sopInstance]
      expect(sr?.groups).toMatchObject([
        { ...said, sources },
        { ...said, sources },
      ])
      const outline = [10, 10, 30, 10, 30, 20, 10, 20, 10, 10]
      expect(sr?.regions).toMatchObject([{ finding: 'Pneumonia', certainty: [80], algorithm }])
      expect(sr?.regions?.[0]?.outline.flat()).toEqual(outline)
      const { stdout } = await run('dsrdump', [paths.get('dicom-sr') ?? ''], { encoding: 'utf8' })
      expect(stdout).toContain('Comprehensive 3D SR Document')
      expect(stdout).toContain('"Certainty of Finding")="91" (%,UCUM,"Percent")')
      expect(stdout).toContain('RESEARCH USE ONLY')

      const seg = found.get('dicom-seg')
      expect(seg?.segments).toEqual([['pneumonia', 'Pneumonia', 'chest']])
      expect(seg?.sources).toEqual([instance?.dicom?.sopInstance])
      // Rows 10 to 19, columns 10 to 29.
      expect(seg?.set).toEqual([Array.from({ length: 200 }, (_, i) => [10 + Math.floor(i / 20), 10 + (i % 20)])])
      expect(seg?.affine !== null).toBe(inSpace)
      expect(found.get('dicom-sc')?.shape?.at(-1)).toBe(3)
    })

    it('are told from a damaged one', async () => {
      const { assessed } = await kept(['ct-ref-explicit__CT1_UNC.dcm'])
      const path = (await made(assessed)).get('dicom-sr') ?? ''
      const damaged = (await readFile(path, 'latin1')).replace('UNVERIFIED', 'UNVERIFI  ')
      await writeFile(path, damaged, 'latin1')
      expect(await errorsOf('dicom-sr', path)).toEqual([expect.stringContaining('VerificationFlag')])
    })

    it('have the mask of a model that ran on a radiograph, and what its answer rests on', async () => {
      const bytes = await readFile(join(corpus ?? '', radiograph))
      using root = temporaryFolder()
      const output = { labels: ['normal', 'pneumonia'], positive: 'pneumonia', threshold: 0.01 }
      const changes = { input: { width: 96, height: 64, fit: 'pad' as const }, output, mask: { name: 'mask', most: 3 } }
      await using running = await testEngine(root.path, [{ graph: 'marks', changes }])
      const image = instanceOf(running.objects.put(bytes, 'application/dicom'))
      const model = running.ref('marks')
      const signal = new AbortController().signal
      const answer = await running.engine.predict(model, image, { priority: 'routine', signal })
      expect(answer).toMatchObject({ label: 'pneumonia', explanation: expect.any(Uint8Array) })
      expect(answer.regions.length).toBeGreaterThan(0)

      const { key } = await stores.objects.put(answer.explanation ?? Buffer.alloc(0), 'image/png')
      const { assessed, instances } = await keepStudy(stores, [bytes], {
        said: () => ({ ...answer, model, explanation: key }),
      })
      const paths = await made(assessed)
      for (const [format, path] of paths) expect(await errorsOf(format, path), format).toEqual([])
      const found = await readBack(paths)
      const seg = found.get('dicom-seg')
      expect(seg?.segments).toEqual([['pneumonia', 'Pneumonia', 'marks']])
      const columns = instances[0]?.columns ?? 0
      const pixels = Array.from({ length: columns * (instances[0]?.rows ?? 0) }, (_, i) => [
        Math.floor(i / columns),
        i % columns,
      ])
      const within =
        (points: number[]) =>
        ([y = 0, x = 0]: number[]) =>
          holds(points, x + 0.5, y + 0.5)
      const marked = pixels.filter(at => answer.regions.some(({ points }) => within(points)(at)))
      expect(marked.length).toBeGreaterThan(1_000)
      // Compared as text: a million pixels are no message.
      expect(seg?.set?.length).toBe(1)
      expect(JSON.stringify(seg?.set?.[0]) === JSON.stringify(marked)).toBe(true)
      expect(found.get('dicom-sr')?.regions).toHaveLength(answer.regions.length)
      // The image and what the answer rests on, side by side.
      expect(found.get('dicom-sc')?.shape?.[1]).toBeGreaterThan(768)
    })

    it('keep a Japanese name whole, in all of its forms', async () => {
      const { assessed } = await kept(['charset__chrH31.dcm'])
      for (const one of (await readBack(await made(assessed))).values())
        expect(one?.name).toBe('Yamada^Tarou=山田^太郎=やまだ^たろう')
    })

    it('have the RadLex code that the settings have for a label: of the finding, its answer, its region and its mask', async () => {
      const { assessed } = await kept(['ct-ref-explicit__CT1_UNC.dcm'], 'nodule')
      const findings = assessed.findings.map(one => ({ ...one, label: 'nodule' }))
      const paths = await made({ ...assessed, findings })
      for (const [format, path] of paths) expect(await errorsOf(format, path), format).toEqual([])
      const found = await readBack(paths)
      const coded = { finding: 'nodule', scheme: 'RADLEX', code: 'RID3875' }
      expect(found.get('dicom-sr')?.groups).toMatchObject([coded, coded])
      expect(found.get('dicom-sr')?.regions).toMatchObject([coded])
      expect(found.get('dicom-seg')?.segments).toEqual([['nodule', 'nodule', 'chest']])
      const { stdout } = await run('dsrdump', ['+Pc', paths.get('dicom-sr') ?? ''], { encoding: 'utf8' })
      expect(stdout.match(/\(RID3875,RADLEX,"nodule"\)/g)).toHaveLength(3)
    })

    it('of a revised study are valid, and name those of the revision before', async () => {
      const { assessed } = await kept(['ct-ref-explicit__CT1_UNC.dcm'])
      await made(assessed)
      const paths = await made({ ...assessed, revision: 2, id: ids.studyRevision(assessed.study, 2) })
      for (const [format, path] of paths) expect(await errorsOf(format, path), format).toEqual([])
      const found = await readBack(paths)
      for (const format of ['dicom-sr', 'dicom-pdf'])
        expect(found.get(format)?.predecessors).toEqual([uids.report(assessed.study, 1, format, null)])
    })
  },
)
