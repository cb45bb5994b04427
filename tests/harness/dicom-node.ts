/** The DICOM node with its index: what is stored there can be asked for. Real stores; events go from one stage to the other. */
import { connect } from 'node:net'
import { persist } from '../../consumers/persist/stage.ts'
import { commandField, writeQueryRequest } from '../../dicom/command.ts'
import { type Elements, explicitLittle, readElements, writeElements } from '../../dicom/data-set.ts'
import { filePrefix, readFileMeta } from '../../dicom/part10.ts'
import { associate, type Requestor, type RequestorOptions } from '../../dicom/requestor.ts'
import { dimse } from '../../producers/dimse/stage.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { topics } from '../../schemas/topics.ts'
import { associate as associateByHand, dataSetOf, statusOf, store as storeRequest } from './dicom-peer.ts'
import { type OpenProducer, openProducer, type ProducerOptions } from './producer.ts'
import { openForTest } from './stage.ts'
import { openStores } from './stores.ts'

export interface OpenNode extends AsyncDisposable {
  readonly port: number
  readonly stage: OpenProducer
  /** Sends files by C-STORE, as MODALITY. @throws where one is not kept */
  keep(...files: Buffer[]): Promise<void>
}

/** With `stores` it is another life of a node; then the caller closes them. */
export async function openNode(options: ProducerOptions = {}): Promise<OpenNode> {
  const stores = options.stores ?? (await openStores())
  const index = await openForTest(persist, stores)
  const stage = await openProducer(dimse, {
    ...options,
    settings: { port: 0, ...Object(options.settings) },
    stores,
    publishing: async event => {
      await options.publishing?.(event)
      // The audit comes by the same way.
      if ('dicom' in event) await index.hand(topics.instances, event)
    },
  })
  const port = Number(stage.endpoints.dicom?.port)
  return {
    port,
    stage,
    keep: (...files) => sendFiles(port, 'MODALITY', files),
    async [Symbol.asyncDispose]() {
      await stage.close()
      await index.close()
      if (!options.stores) await stores.close()
    },
  }
}

/** Sends files by C-STORE, each over an association of its own. @throws where one is not kept */
export async function sendFiles(port: number, calling: string, files: readonly Buffer[]): Promise<void> {
  for (const file of files) {
    const meta = readFileMeta(file)
    if (!meta) throw new Error('no DICOM file')
    const { sopClass, sopInstance, transferSyntax } = meta
    const contexts = [{ abstract: sopClass, syntaxes: [transferSyntax] }]
    using peer = await associateByHand(port, { calling, contexts })
    peer.write(storeRequest({ sopClass, sopInstance }, dataSetOf(file)))
    const { status, comment } = statusOf(await peer.next())
    if (status !== 0) throw new Error(`not kept: ${status.toString(16)} ${comment}`)
  }
}

/** A small grey image with these attributes; those of a patient, study and series are made up where they are missing. */
export function imageFile(attributes: DicomAttributes, { bytes }: { bytes?: Buffer } = {}): Buffer {
  const all: DicomAttributes = {
    '00080016': { vr: 'UI', Value: ['1.2.840.10008.5.1.4.1.1.7'] },
    '00080018': { vr: 'UI', Value: ['1.2.3.4'] },
    '00080060': { vr: 'CS', Value: ['OT'] },
    '00100020': { vr: 'LO', Value: ['P1'] },
    '0020000D': { vr: 'UI', Value: ['1.2.3'] },
    '0020000E': { vr: 'UI', Value: ['1.2.3.1'] },
    '00280002': { vr: 'US', Value: [1] },
    '00280004': { vr: 'CS', Value: ['MONOCHROME2'] },
    '00280010': { vr: 'US', Value: [4] },
    '00280011': { vr: 'US', Value: [4] },
    '00280100': { vr: 'US', Value: [8] },
    '00280101': { vr: 'US', Value: [8] },
    '00280102': { vr: 'US', Value: [7] },
    '00280103': { vr: 'US', Value: [0] },
    ...attributes,
  }
  const uidOf = (tag: string) => String(all[tag]?.Value?.[0])
  const pixels = Buffer.concat([Buffer.from([0xe0, 0x7f, 0x10, 0, 0x4f, 0x42, 0, 0, 16, 0, 0, 0]), Buffer.alloc(16)])
  return Buffer.concat([
    filePrefix(uidOf('00080016'), uidOf('00080018'), explicitLittle),
    bytes ?? writeElements(all, explicitLittle),
    pixels,
  ])
}

/** A peer as it should be: the requestor that we have ourselves. */
export function peerOf(port: number, options: Partial<RequestorOptions> = {}): Promise<Requestor> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  return associate(socket, {
    called: 'RAYLOG',
    calling: 'TEST',
    contexts: [],
    associateMs: 30_000,
    answerMs: 30_000,
    ...options,
  })
}

export interface Found {
  matches: Elements[]
  /** Of each response, the last one too. */
  statuses: number[]
  comment: string
}

export const studyRoot = '1.2.840.10008.5.1.4.1.2.2.'
export const patientRoot = '1.2.840.10008.5.1.4.1.2.1.'

/** A C-FIND, all of it. */
export async function find(port: number, identifier: DicomAttributes, sopClass = `${studyRoot}1`): Promise<Found> {
  const peer = await peerOf(port, { contexts: [{ abstractSyntax: sopClass, transferSyntaxes: [explicitLittle] }] })
  const [context] = peer.contexts
  if (!context) throw new Error('C-FIND was not accepted')
  const found: Found = { matches: [], statuses: [], comment: '' }
  const request = (id: number) => writeQueryRequest(commandField.find, id, sopClass)
  for await (const { command, data } of peer.responses(context, request, writeElements(identifier, explicitLittle))) {
    found.statuses.push(command.status)
    found.comment = command.comment
    if (data) found.matches.push(readElements(data, explicitLittle))
  }
  await peer.release()
  return found
}
