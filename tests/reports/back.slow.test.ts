/**
 * A study sent by storescu comes back: into Orthanc beside its images, to FHIR and HL7 at the other ends, and as one mail to
 * the one who should get it. What Orthanc sends back in its turn changes nothing.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { controlIdOf, frame } from '../../hl7/mllp.ts'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { startMail } from '../harness/mail.ts'
import { hasOrthanc, makeOrthanc } from '../harness/orthanc.ts'
import { freePort, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { sharedPath } from '../shared.ts'

const run = promisify(execFile)
const ready = hasOrthanc && existsSync('/usr/bin/storescu')
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port

/** A real radiograph of a chest where there is one, or one made here. */
async function radiograph(folder: string): Promise<string> {
  const at = sharedPath('data/dicom')
  const real = at && (await readdir(at)).find(name => name.startsWith('cr-chest-ai'))
  if (at && real) return join(at, real)
  const made = join(folder, 'chest.dcm')
  await writeFile(made, chestDicom(1, { size: 512 }))
  return made
}

const instances = z.array(z.looseObject({ MainDicomTags: z.looseObject({ SOPInstanceUID: z.string() }) }))
const series = z.array(
  z.looseObject({ ID: z.string(), ParentStudy: z.string(), MainDicomTags: z.looseObject({ Modality: z.string() }) }),
)

it.skipIf(!ready)(
  `a study comes back to everyone who should have it${ready ? '' : ' (skipped: needs orthanc, orthanc-dicomweb and dcmtk)'}`,
  async () => {
    await using stack = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'raylog-back-'))
    stack.defer(() => rm(folder, { recursive: true, force: true }))
    const dicomPort = await freePort()
    const orthanc = await makeOrthanc(folder, { aeTitle: 'RAYLOG', port: dicomPort })
    await orthanc.start()
    stack.defer(() => orthanc.stop())
    const mail = stack.use(await startMail())
    const bundles: string[] = []
    const fhir = createServer(async (request, response) => {
      bundles.push(Buffer.concat(await request.toArray()).toString())
      response.end('{"resourceType":"Bundle","type":"transaction-response"}')
    }).listen(0, '127.0.0.1')
    const messages: Buffer[] = []
    const ris = createTcpServer(socket => {
      socket.on('data', (bytes: Buffer) => {
        const message = bytes.subarray(1, -2)
        messages.push(message)
        socket.write(frame(Buffer.from(`MSH|^~\\&|RIS\rMSA|AA|${controlIdOf(message)}\r`)))
      })
    }).listen(0, '127.0.0.1')
    await Promise.all([once(fhir, 'listening'), once(ris, 'listening')])
    stack.defer(() => {
      fhir.closeAllConnections()
      fhir.close()
      ris.close()
    })

    const settings = {
      peers: [
        {
          name: 'pacs',
          aeTitle: 'ORTHANC',
          host: '127.0.0.1',
          port: orthanc.dicomPort,
          services: ['store', 'commitment'],
        },
        { name: 'modality', aeTitle: 'STORESCU', addresses: ['127.0.0.1'] },
      ],
      'assess-study.idleMs': { CR: 1_500, DX: 1_500 },
      'report.formats': ['dicom-sr', 'dicom-sc', 'dicom-pdf', 'fhir', 'hl7'],
      'deliver.destinations': [
        { name: 'pacs', kind: 'dicom', peer: 'pacs', commitment: true },
        { name: 'fhir', kind: 'fhir', url: `http://127.0.0.1:${portOf(fhir)}` },
        { name: 'ris', kind: 'hl7', host: '127.0.0.1', port: portOf(ris) },
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
        { name: 'skulls', findings: [{ labels: ['fracture'] }], to: ['chief'] },
      ],
    }
    const set = Object.entries(settings).map(([path, value]) => `${path}=${JSON.stringify(value)}`)
    await using raylog = await startRaylog({ set: ['logLevel=warn', `dimse.port=${dicomPort}`, ...set] })

    const image = await radiograph(folder)
    await run('storescu', ['-xy', '-aec', 'ORTHANC', '127.0.0.1', String(orthanc.dicomPort), image])
    await run('storescu', ['-xy', '-aec', 'RAYLOG', '127.0.0.1', String(dicomPort), image])

    const seriesThere = async () => series.parse(await orthanc.get('/series?expand'))
    const back = await until('the reports are beside the image', async () => {
      const all = await seriesThere()
      return all.length >= 4 ? all : undefined
    })
    const modalities = back.map(({ MainDicomTags }) => MainDicomTags.Modality).sort()
    expect(modalities.filter(one => !['CR', 'DX'].includes(one))).toEqual(['DOC', 'OT', 'SR'])
    expect(new Set(back.map(({ ParentStudy }) => ParentStudy)).size).toBe(1)
    await until('everyone has been told', () => bundles.length > 0 && messages.length > 0 && mail.mails.length > 0)
    expect(JSON.parse(bundles[0] ?? '{}')).toMatchObject({ resourceType: 'Bundle', type: 'transaction' })
    expect(messages[0]?.toString('utf8')).toContain('ORU^R01')
    expect(mail.mails.map(({ to }) => to)).toEqual([['martin@h.example']])
    await until('the PACS says that it keeps them', async () => {
      const { items } = await raylog.json<{ items: { destination: string; commitment: { state: string } | null }[] }>(
        '/api/v1/deliveries',
      )
      const ofPacs = items.filter(({ destination }) => destination === 'pacs')
      return ofPacs.length === 3 && ofPacs.every(({ commitment }) => commitment?.state === 'kept')
    })

    // A PACS forwards what it gets.
    for (const { ID } of back) await orthanc.post('/modalities/raylog/store', ID)
    const ours = instances.parse(await orthanc.get('/instances?expand')).length
    const listed = async () => (await raylog.json<{ items: unknown[] }>('/api/v1/instances')).items.length
    await until('they are all here', async () => (await listed()) === ours)
    const { items: studies } = await raylog.json<{ items: { id: string }[] }>('/api/v1/studies')
    expect(studies).toHaveLength(1)
    await until('nobody has anything left to read', async () => {
      const { items } = await raylog.json<{ items: { lag: number }[] }>('/api/v1/monitoring/lag')
      return items.every(({ lag }) => lag === 0)
    })
    const { revisions } = await raylog.json<{ revisions: unknown[] }>(`/api/v1/studies/${studies[0]?.id}`)
    expect(revisions).toHaveLength(1)
    expect([bundles.length, messages.length, mail.mails.length, (await seriesThere()).length]).toEqual([1, 1, 1, 4])
  },
)
