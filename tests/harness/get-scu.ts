/** A C-GET by hand: who asks, and takes the images on the same association (PS3.4 C.4.3), or does not. */
import {
  type Command,
  commandField,
  readCommand,
  writeCancel,
  writeQueryRequest,
  writeResponse,
} from '../../dicom/command.ts'
import { type Elements, explicitLittle, readElements, writeElements } from '../../dicom/data-set.ts'
import { pdu, writeAssociateRequest } from '../../dicom/pdu.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { connectPeer, dataPdus, type Peer } from './dicom-peer.ts'

export interface GetOptions {
  /** Classes that are taken, each with its transfer syntaxes. */
  accepts: { abstract: string; syntaxes: string[] }[]
  identifier: DicomAttributes
  sopClass?: string
  calling?: string
  /** After so many images a C-CANCEL goes out, before the answer to the last of them. */
  cancelAfter?: number
  /** After so many images the connection is cut. */
  vanishAfter?: number
}

export interface Got {
  images: { sopInstance: string; dataSet: Buffer }[]
  /** Of each C-GET response. */
  statuses: number[]
  last: Command
  /** Data set of the last response. */
  failed: Elements | undefined
}

export interface Message {
  context: number
  command: Command
  data: Buffer
}

/** The next message, put together. @throws where the connection ends */
export async function nextMessage(peer: Peer): Promise<Message> {
  const parts: { command: Buffer[]; data: Buffer[] } = { command: [], data: [] }
  for (let command: Command | undefined; ; ) {
    const answer = await peer.next()
    if (answer?.type !== pdu.data) throw new Error(`the association ended: ${answer?.type}`)
    const { body } = answer
    for (let at = 0; at < body.length; ) {
      const length = body.readUInt32BE(at)
      const [context, flags] = [body.readUInt8(at + 4), body.readUInt8(at + 5)]
      ;(flags & 1 ? parts.command : parts.data).push(body.subarray(at + 6, at + 4 + length))
      at += 4 + length
      if ((flags & 2) === 0) continue
      command ??= readCommand(Buffer.concat(parts.command))
      if (!command.hasDataSet || (flags & 1) === 0) return { context, command, data: Buffer.concat(parts.data) }
    }
  }
}

export async function getOver(port: number, options: GetOptions): Promise<Got> {
  const { sopClass = '1.2.840.10008.5.1.4.1.2.2.3', calling = 'GETSCU', accepts, identifier } = options
  using peer = await connectPeer(port)
  const contexts = [{ abstract: sopClass, syntaxes: [explicitLittle] }, ...accepts].map(
    ({ abstract, syntaxes }, i) => ({
      ...{ id: 2 * i + 1, abstractSyntax: abstract, transferSyntaxes: syntaxes },
    }),
  )
  const roles = new Map(accepts.map(({ abstract }) => [abstract, { scu: false, scp: true }]))
  const request = { called: 'RAYLOG', calling, contexts, maxLength: 16_384, roles }
  peer.write(writeAssociateRequest(request, { classUid: '1.2.3', version: 'TEST' }))
  if ((await peer.next())?.type !== pdu.associateAc) throw new Error('not accepted')
  peer.write(dataPdus(1, true, writeQueryRequest(commandField.get, 9, sopClass)))
  peer.write(dataPdus(1, false, writeElements(identifier, explicitLittle)))
  const got: Omit<Got, 'last' | 'failed'> = { images: [], statuses: [] }
  for (;;) {
    const { context, command, data } = await nextMessage(peer)
    if (command.field === commandField.store) {
      got.images.push({ sopInstance: command.sopInstance, dataSet: data })
      if (got.images.length === options.vanishAfter) peer.socket.resetAndDestroy()
      if (got.images.length === options.cancelAfter) peer.write(dataPdus(1, true, writeCancel(9)))
      peer.write(dataPdus(context, true, writeResponse(command, 0)))
      continue
    }
    got.statuses.push(command.status)
    if (command.status === 0xff00) continue
    return { ...got, last: command, failed: data.length > 0 ? readElements(data, explicitLittle) : undefined }
  }
}
