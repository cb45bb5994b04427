/** Where the reports of a study go in the test of the way back: an archive, a FHIR server, an HL7 receiver and a mail server. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { fhirClient, placeOf } from '../harness/fhir-search.ts'
import { type MailServer, startMail } from '../harness/mail.ts'
import { type MllpReceiver, mllpPython, startMllpReceiver } from '../harness/mllp.ts'
import { hasOrthanc, makeOrthanc, type Orthanc } from '../harness/orthanc.ts'
import { titleOf } from '../harness/tools.ts'
import { viewerTools } from '../harness/viewer.ts'
import { fhirHome, startFhir } from '../services/servers/fhir.ts'
import { sharedPath } from '../shared.ts'

/** A real radiograph of a chest where there is one, or one made here. */
export async function radiograph(folder: string): Promise<string> {
  const at = sharedPath('data/dicom')
  const real = at && (await readdir(at)).find(name => name.startsWith('cr-chest-ai'))
  if (at && real) return join(at, real)
  const made = join(folder, 'chest.dcm')
  await writeFile(made, chestDicom(1, { size: 512 }))
  return made
}

export const patients = 'https://hospital.example/patients'

export interface Ends {
  folder: string
  orthanc: Orthanc
  fhirUrl: string
  ris: MllpReceiver
  mail: MailServer
}

/** Installs what can be had of them. */
export async function installEnds() {
  const [home, mllp] = [await fhirHome(), await mllpPython()]
  const lacks = [
    ...titleOf('', ['storescu', 'dcmodify', ...viewerTools]).missing,
    ...(hasOrthanc ? [] : ['orthanc and orthanc-dicomweb']),
    ...[home, mllp].flatMap(one => ('missing' in one ? [one.missing] : [])),
  ]
  return {
    /** What cannot be had here; where something is, they do not start. */
    lacks,
    /** @param dicomPort ours, where commitments come to */
    async start(stack: AsyncDisposableStack, dicomPort: number): Promise<Ends> {
      if ('missing' in home || 'missing' in mllp) throw new Error(lacks.join())
      const folder = await mkdtemp(join(tmpdir(), 'raylog-back-'))
      stack.defer(() => rm(folder, { recursive: true, force: true }))
      const orthanc = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: dicomPort })
      await orthanc.start()
      stack.defer(() => orthanc.stop())
      const ris = stack.use(await startMllpReceiver(mllp.python))
      const mail = stack.use(await startMail())
      const { url } = stack.use(await startFhir(home.home))
      await somebodyElse(url)
      return { folder, orthanc, ris, mail, fhirUrl: url }
    },
  }
}

/** Is at the FHIR server already, so that a search finds whom it asks for. */
async function somebodyElse(url: string): Promise<void> {
  const { create } = fhirClient(url)
  const patient = await create({
    ...{ resourceType: 'Patient', identifier: [{ system: patients, value: 'somebody else' }] },
  })
  const subject = { reference: placeOf(patient) }
  const code = { text: 'of somebody else' }
  await create({ resourceType: 'DiagnosticReport', status: 'final', code, subject })
  await create({ resourceType: 'Observation', status: 'final', code, subject })
}

export function settingsOf({ orthanc, fhirUrl, ris, mail }: Ends): string[] {
  const settings = {
    peers: [
      {
        ...{ name: 'pacs', aeTitle: 'ORTHANC', host: '127.0.0.1', port: orthanc.dicomPort },
        services: ['store', 'commitment'],
      },
      { name: 'modality', aeTitle: 'STORESCU', addresses: ['127.0.0.1'] },
    ],
    'assess-study.idleMs': { CR: 1_500, DX: 1_500 },
    'assess-study.lateMs': 300,
    'report.formats': ['dicom-sr', 'dicom-sc', 'dicom-pdf', 'fhir', 'hl7'],
    'report.systems': { patients: { '': patients } },
    'deliver.destinations': [
      { name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true },
      { name: 'fhir', kind: 'fhir', url: fhirUrl },
      { name: 'ris', kind: 'hl7', host: '127.0.0.1', port: ris.port },
    ],
    'notify.channels': [
      {
        ...{ name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port },
        ...{ security: 'none', from: 'Raylog <r@h.example>' },
      },
    ],
    'notify.people': [
      { name: 'martin', reach: [{ channel: 'mail', address: 'martin@h.example' }] },
      { name: 'chief', reach: [{ channel: 'mail', address: 'chief@h.example' }] },
    ],
    'notify.rules': [
      { name: 'chests', findings: [{ present: null }], to: ['martin'] },
      { name: 'skulls', findings: [{ labels: ['fracture'], present: null }], to: ['chief'] },
    ],
  }
  return Object.entries(settings).map(([path, value]) => `${path}=${JSON.stringify(value)}`)
}
