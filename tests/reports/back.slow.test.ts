/**
 * A study sent by storescu comes back: into Orthanc beside its images, where a viewer shows it; to a FHIR server (HAPI) and an
 * HL7 receiver (python-hl7), which say what they have of it; and as one mail to the one who should get it. What Orthanc sends
 * back in its turn changes nothing. None of these systems is ours, but for the mail server.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { ReportDeliveryView } from '../../gateway/api/deliveries.ts'
import type { NoticeView } from '../../gateway/api/notifications.ts'
import type { StudyAssessed, StudyFinding } from '../../schemas/topics.ts'
import { type FhirResource, fhirClient, placeOf } from '../harness/fhir-search.ts'
import { fieldOf, segmentsOf } from '../harness/mllp.ts'
import { freePort, type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { viewerOf } from '../harness/viewer.ts'
import { type Ends, installEnds, patients, radiograph, settingsOf } from './ends.ts'

const run = promisify(execFile)
const { lacks, start } = await installEnds()

const series = z.array(
  z.looseObject({
    ...{ ID: z.string(), ParentStudy: z.string(), Instances: z.array(z.string()) },
    MainDicomTags: z.looseObject({ Modality: z.string() }),
  }),
)
const tagsOfObject = z.looseObject({
  ...{ StudyInstanceUID: z.string(), SOPInstanceUID: z.string(), PatientID: z.string(), PatientName: z.string() },
  ...{ PatientSex: z.string(), AccessionNumber: z.string() },
})
const imageModalities = ['CR', 'DX']
const sct = 'http://snomed.info/sct'

interface Peer {
  title: string
  port: number
}

describe.skipIf(lacks.length > 0)(
  `a study comes back to everyone who should have it${lacks.length > 0 ? ` (skipped: lacks ${lacks.join('; ')})` : ''}`,
  () => {
    const stack = new AsyncDisposableStack()
    let ends: Ends
    let raylog: Raylog
    let image: string
    let toRaylog: Peer
    /** The image, as Orthanc read it: what everybody else must have of it too. */
    let sent: z.infer<typeof tagsOfObject>
    /** As Raylog has it, to which the other ends are held. */
    let study: string
    let finding: StudyFinding

    const toOrthanc = (): Peer => ({ title: 'ORTHANC', port: ends.orthanc.dicomPort })
    const send = (file: string, { title, port }: Peer) =>
      run('storescu', ['-xy', '-aec', title, '127.0.0.1', String(port), file])
    const seriesThere = async () => series.parse(await ends.orthanc.get('/series?expand'))
    const tagsOf = async (id: string) => tagsOfObject.parse(await ends.orthanc.get(`/instances/${id}/simplified-tags`))
    const instanceOf = async (...modalities: string[]): Promise<string> => {
      const found = (await seriesThere()).filter(one => modalities.includes(one.MainDicomTags.Modality))
      const [id = '', ...more] = found.flatMap(({ Instances }) => Instances)
      expect(more).toEqual([])
      return id
    }
    const fhir = () => fhirClient(ends.fhirUrl)
    const ofPatient = () => `${patients}|${sent.PatientID}`
    const deliveries = async () => (await raylog.json<{ items: ReportDeliveryView[] }>('/api/v1/deliveries')).items
    const revisions = async () =>
      (await raylog.json<{ revisions: StudyAssessed[] }>(`/api/v1/studies/${study}`)).revisions

    beforeAll(async () => {
      const dicomPort = await freePort()
      ends = await start(stack, dicomPort)
      raylog = stack.use(await startRaylog({ set: ['logLevel=warn', `dimse.port=${dicomPort}`, ...settingsOf(ends)] }))
      const { orthanc, mail } = ends
      toRaylog = { title: 'RAYLOG', port: dicomPort }
      image = await radiograph(ends.folder)
      await send(image, toOrthanc())
      const [original = ''] = z.array(z.string()).parse(await orthanc.get('/instances'))
      sent = await tagsOf(original)
      await send(image, toRaylog)
      await until(
        'everyone has been told',
        async () => {
          const all = await deliveries()
          return all.length === 5 && all.every(({ state }) => state === 'sent') && mail.mails.length > 0
        },
        { deadlineMs: 240_000 },
      )
      const { items } = await raylog.json<{ items: { id: string }[] }>('/api/v1/studies')
      study = items[0]?.id ?? ''
      const [found] = (await revisions())[0]?.findings ?? []
      if (!found) throw new Error('nothing was looked for in the study')
      finding = found
    }, 600_000)
    afterAll(() => stack.disposeAsync())

    it('the PACS has its reports beside the image, and keeps them', async () => {
      const all = await seriesThere()
      const modalities = all.map(({ MainDicomTags }) => MainDicomTags.Modality).sort()
      expect(modalities.filter(one => !imageModalities.includes(one))).toEqual(['DOC', 'OT', 'SR'])
      expect(modalities).toHaveLength(4)
      expect(new Set(all.map(({ ParentStudy }) => ParentStudy)).size).toBe(1)
      for (const id of all.flatMap(({ Instances }) => Instances)) {
        const { StudyInstanceUID, PatientID } = sent
        expect(await tagsOf(id)).toMatchObject({ StudyInstanceUID, PatientID })
      }
      await until('the PACS says that it keeps them', async () => {
        const ofPacs = (await deliveries()).filter(({ destination }) => destination === 'pacs')
        return ofPacs.length === 3 && ofPacs.every(({ commitment }) => commitment?.state === 'kept')
      })
    })

    it('a viewer of the PACS shows them', async () => {
      const see = viewerOf(ends.orthanc, ends.folder)
      const [image, picture] = [
        await see.picture(await instanceOf(...imageModalities)),
        await see.picture(await instanceOf('OT')),
      ]
      expect(image.contrast).toBeGreaterThan(10)
      expect(picture.contrast).toBeGreaterThan(10)
      // Text stands above and below the image.
      expect(picture.height).toBeGreaterThan(picture.width * (image.height / image.width) + 20)
      const { model, label, present } = finding
      const [name = '', version = ''] = model.split('@')
      const said = present ? `Found: ${label}.` : `Looked for and not found: ${label}.`
      const pdf = await see.pdfText(await instanceOf('DOC'))
      for (const words of [said, name, 'RESEARCH USE ONLY']) expect(pdf).toContain(words)
      const report = await see.reportText(await instanceOf('SR'))
      const measured = present ? 'is at or above the threshold' : 'is below the threshold'
      expect(report).toContain(`Finding: ${label} (233604007, SCT)`)
      expect(report).toContain(`Presence: ${present ? 'Present' : 'Absent'}`)
      for (const words of [`Algorithm Name = "${name}"`, `Algorithm Version = "${version}"`, measured])
        expect(report).toContain(words)
    })

    it('a FHIR server finds it by patient and by study, and nothing of it with anybody else', async () => {
      const { search, read } = fhir()
      const [patient, ...others] = await search('Patient', { identifier: ofPatient() })
      expect(others).toEqual([])
      const [family = ''] = sent.PatientName.split('^')
      expect(patient).toMatchObject({ name: [{ family }] })
      const subject = { reference: placeOf(patient as FhirResource) }

      const studies = await search('ImagingStudy', {
        identifier: `urn:dicom:uid|urn:oid:${sent.StudyInstanceUID}`,
      })
      const images = [{ instance: [{ uid: sent.SOPInstanceUID }] }]
      expect(studies).toMatchObject([{ subject, numberOfInstances: 1, series: images }])
      const imagingStudy = [{ reference: placeOf(studies[0] as FhirResource) }]

      const [report, ...more] = await search('DiagnosticReport', { 'patient.identifier': ofPatient() })
      expect(more).toEqual([])
      expect(report).toMatchObject({ status: 'preliminary', subject, imagingStudy })
      expect(report?.code?.coding).toMatchObject([{ system: 'http://loinc.org', code: '18748-4' }])

      const observations = await search('Observation', { 'subject:Patient.identifier': ofPatient() })
      expect(report?.result.map(({ reference }) => reference)).toEqual(observations.map(placeOf))
      const [one] = observations
      expect(one).toMatchObject({
        ...{ status: 'preliminary', subject, derivedFrom: imagingStudy, code: { text: finding.label } },
        valueCodeableConcept: { coding: [{ system: sct, code: finding.present ? '52101004' : '2667000' }] },
      })
      expect(one?.code?.coding).toMatchObject([{ system: sct, code: '233604007', display: 'Pneumonia' }])
      const numbers = one?.component.flatMap(({ code, valueQuantity }) =>
        valueQuantity ? [[code.text, valueQuantity.value]] : [],
      )
      expect(numbers).toContainEqual(['Score', Number(finding.score.toFixed(6))])
      expect(JSON.stringify(await search('Device', {}))).toContain(`"name":"${finding.model.split('@')[0]}"`)
      // A second time it would be a second version.
      expect((await read(placeOf(report as FhirResource))).meta.versionId).toBe('1')
    })

    it('a receiver of HL7 reads in it who it is of, what was ordered and what was found', async () => {
      const [message, ...more] = ends.ris.messages
      expect(more).toEqual([])
      const one = (name: string, field: number) => fieldOf(segmentsOf(message, name)[0], field)
      expect(one('MSH', 9)).toEqual(['ORU', 'R01', 'ORU_R01'])
      expect(one('PID', 3)[0]).toBe(sent.PatientID)
      const [family = '', given = ''] = sent.PatientName.split('^')
      expect([one('PID', 5)[0], one('PID', 5)[1]]).toEqual([family, given])
      expect(one('PID', 8)).toEqual([sent.PatientSex])
      expect(one('OBR', 4).slice(0, 3)).toEqual(['18748-4', 'Diagnostic imaging study', 'LN'])
      expect(one('OBR', 18)).toEqual([sent.AccessionNumber])
      expect(one('OBR', 25)).toEqual(['P'])

      const results = segmentsOf(message, 'OBX').map(obx =>
        [2, 3, 5, 8, 11].map(field => fieldOf(obx, field).join('^')),
      )
      const { label, present, score } = finding
      const abnormal = present ? 'A' : 'N'
      expect(results).toContainEqual([
        ...['CE', `233604007^Pneumonia^SCT^^${label}`],
        ...[present ? '52101004^Present^SCT' : '2667000^Absent^SCT', abnormal, 'P'],
      ])
      const ofScore = results.filter(([, what]) => what?.startsWith('score^'))
      expect(ofScore).toEqual([['NM', expect.any(String), String(Number(score.toFixed(6))), abnormal, 'P']])
      expect(results).toContainEqual(['ST', '110180^Study Instance UID^DCM', sent.StudyInstanceUID, '', 'P'])
    })

    const allIsRead = () =>
      until('nobody has anything left to read', async () => {
        const { items } = await raylog.json<{ items: { lag: number }[] }>('/api/v1/monitoring/lag')
        return items.every(({ lag }) => lag === 0)
      })

    it('one mail tells the one whose rule it is, and nobody else', async () => {
      expect(ends.mail.mails.map(({ to }) => to)).toEqual([['martin@h.example']])
      const items = await until('it is written down', async () => {
        const { items: all } = await raylog.json<{ items: NoticeView[] }>('/api/v1/notifications')
        return all.every(({ phase }) => phase === 'settled') ? all : undefined
      })
      expect(items).toMatchObject([{ study, rule: 'chests', outcome: 'told' }])
      expect(ends.mail.mails[0]?.header('X-Raylog-Notification')).toBe(items[0]?.id)
    })

    it('and what the PACS sends back in its turn changes nothing', async () => {
      const back = await seriesThere()
      for (const { ID } of back) await ends.orthanc.post('/modalities/raylog/store', ID)
      const listed = async () => (await raylog.json<{ items: unknown[] }>('/api/v1/instances')).items.length
      await until('they are all here', async () => (await listed()) === back.length)
      await allIsRead()
      expect((await raylog.json<{ items: unknown[] }>('/api/v1/studies')).items).toHaveLength(1)
      expect(await revisions()).toHaveLength(1)
      expect(await deliveries()).toHaveLength(5)
      expect(await fhir().search('Provenance', {})).toHaveLength(1)
      const { ris, mail } = ends
      expect([ris.messages.length, mail.mails.length, (await seriesThere()).length]).toEqual([1, 1, 4])
    })

    it('a late image makes a new version of each, which says what it replaces', async () => {
      const [report] = await fhir().search('DiagnosticReport', { 'patient.identifier': ofPatient() })
      const firstSr = await tagsOf(await instanceOf('SR'))
      const late = join(ends.folder, 'late.dcm')
      await writeFile(late, await readFile(image))
      await run('dcmodify', ['-nb', '-gin', late])
      await send(late, toOrthanc())
      await send(late, toRaylog)
      const [second] = await until('it is assessed again', async () => {
        const all = await revisions()
        return all.length > 1 ? all : undefined
      })
      // Of the images alone: what the PACS sent back is none.
      expect(second).toMatchObject({ revision: 2, instances: 2, series: 1 })
      // A picture of each image that the finding names: of both where it is there, of one where it is not.
      const named = second?.findings.flatMap(({ instances }) => instances) ?? []
      expect(named).toHaveLength(second?.findings[0]?.present ? 2 : 1)
      const made = await until('everyone has it', async () => {
        const all = (await deliveries()).filter(({ revision }) => revision === 2)
        return all.length === 4 + named.length && all.every(({ state }) => state === 'sent') ? all : undefined
      })
      const pictures = made.filter(({ format }) => format === 'dicom-sc').map(({ instance }) => instance)
      expect(pictures.sort()).toEqual(named.toSorted())

      const now = await fhir().search('DiagnosticReport', { 'patient.identifier': ofPatient() })
      expect(now).toMatchObject([{ id: report?.id, status: 'amended', meta: { versionId: '2' } }])
      const [first, corrected, ...more] = ends.ris.messages
      expect(more).toEqual([])
      const [obrBefore, obr] = [first, corrected].map(message => segmentsOf(message, 'OBR')[0])
      expect(fieldOf(obr, 3)).toEqual(fieldOf(obrBefore, 3))
      expect(fieldOf(obr, 25)).toEqual(['C'])
      const reports =
        (await seriesThere()).find(({ MainDicomTags }) => MainDicomTags.Modality === 'SR')?.Instances ?? []
      const all = await Promise.all(reports.map(tagsOf))
      const [newest, ...others] = all.filter(({ SOPInstanceUID }) => SOPInstanceUID !== firstSr.SOPInstanceUID)
      expect(others).toEqual([])
      expect(newest).toMatchObject({
        PredecessorDocumentsSequence: [
          {
            ReferencedSeriesSequence: [
              { ReferencedSOPSequence: [{ ReferencedSOPInstanceUID: firstSr.SOPInstanceUID }] },
            ],
          },
        ],
      })
      // Nothing that he was told has changed.
      await allIsRead()
      expect(ends.mail.mails).toHaveLength(1)
    })
  },
)
