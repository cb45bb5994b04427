/** What is made of a study goes where it belongs: each format, as it is, to the kind of destination that it is for. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { deliver } from '../../consumers/deliver/stage.ts'
import { report } from '../../consumers/report/stage.ts'
import { controlIdOf, frame } from '../../hl7/mllp.ts'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { platformConfig } from '../../schemas/config.ts'
import { type Report, topics } from '../../schemas/topics.ts'
import { openNode } from '../harness/dicom-node.ts'
import { openForTest } from '../harness/stage.ts'
import { openLog, openStores } from '../harness/stores.ts'
import { until } from '../harness/until.ts'
import { keepStudy } from './kit.ts'

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port

it('takes the reports of a study to a PACS, a FHIR server, an HL7 receiver and a folder', async () => {
  await using stack = new AsyncDisposableStack()
  const stores = stack.adopt(await openStores(), opened => opened.close())
  const log = stack.adopt(await openLog(join(stores.folder, 'log')), opened => opened.close())
  const pacs = stack.use(await openNode({ settings: { aeTitle: 'PACS' } }))
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

  const { assessed } = await keepStudy(
    stores,
    [1, 2].map(seed => chestDicom(seed, { study: 1, size: 64 })),
  )
  const formats = ['dicom-sr', 'dicom-pdf', 'fhir', 'hl7', 'json']
  const making = await openForTest(report, { ...stores, log }, { settings: { formats } })
  const made = (await making.hand(topics.studies, assessed)).map(({ event }) => event as Report)
  await making.close()
  expect(made.map(({ format, outcome }) => `${format} ${outcome}`).sort()).toEqual(
    formats.map(one => `${one} made`).sort(),
  )

  const peers = [{ name: 'pacs', aeTitle: 'PACS', host: '127.0.0.1', port: pacs.port, services: [] }]
  const delivering = await openForTest(deliver, stores, {
    settings: {
      destinations: [
        { name: 'pacs', kind: 'dicom', peer: 'pacs' },
        { name: 'fhir', kind: 'fhir', url: `http://127.0.0.1:${portOf(fhir)}` },
        { name: 'ris', kind: 'hl7', host: '127.0.0.1', port: portOf(ris) },
        { name: 'share', kind: 'folder', path: join(stores.folder, 'share'), rules: [{ formats: ['json'] }] },
      ],
    },
    network: { peers: platformConfig.parse({ peers }).peers, dicomTls: null },
    publish: async () => [],
  })
  stack.defer(() => delivering.close())
  for (const event of made) await delivering.hand(topics.reports, event)
  await until('all are over', async () => (await stores.documents.count('reportDeliveries', { queue: null })) === 5)
  const { items } = await stores.documents.find('reportDeliveries')
  expect(
    items.map(({ format, destination, state, message }) => `${format} to ${destination}: ${state} ${message}`).sort(),
  ).toEqual([
    'dicom-pdf to pacs: sent null',
    'dicom-sr to pacs: sent null',
    'fhir to fhir: sent null',
    'hl7 to ris: sent null',
    'json to share: sent null',
  ])
  expect(pacs.stage.published).toHaveLength(2)
  expect(JSON.parse(bundles[0] ?? '{}')).toMatchObject({ resourceType: 'Bundle', type: 'transaction' })
  expect(messages[0]?.toString('utf8')).toContain('ORU^R01')
})
