/**
 * C-STORE of a file, its data set byte for byte as it stands: what is damaged must arrive damaged, to be refused. (A sender
 * that parses and writes anew, as dcmjs-dimse's, fills up a radiograph that was cut off with black, and it is accepted.)
 */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { readCommand, writeStoreRequest } from './dicom-command.ts'
import { createLink, type Incoming, type Link } from './dicom-link.ts'
import { contextResult, pdu, readAssociateAccept, writeAssociateRequest, writePdu } from './dicom-pdu.ts'
import { isLast } from './dicom-reader.ts'
import { sendMessage } from './dicom-send.ts'
import { implementation } from './part10.ts'
import type { Attempt } from './send.ts'

export interface DicomTarget {
  host: string
  port: number
  calledAeTitle: string
  callingAeTitle?: string
}

interface FileMeta {
  sopClass: string
  sopInstance: string
  transferSyntax: string
  /** Where the data set begins. */
  dataAt: number
}

const contextId = 1
const maxPduBytes = 131_072
/** For the connection and the association, and for the answer to an image, ms. */
const answerMs = { association: 30_000, store: 120_000 }

/** File Meta Information: explicit VR little endian, its length first (PS3.10 7.1). @throws where it is none */
async function readMeta(file: FileHandle): Promise<FileMeta> {
  const { buffer: start } = await file.read(Buffer.alloc(144), 0, 144, 0)
  const length =
    start.toString('latin1', 128, 132) === 'DICM' && start.readUInt32LE(132) === 2 ? start.readUInt32LE(140) : 0
  if (length === 0 || length > 65_536) throw new Error('the file meta group has no length')
  const { buffer: group, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 144)
  const found = new Map<number, string>()
  for (let at = 0; at + 8 <= bytesRead; ) {
    const isLong = ['OB', 'OW', 'UN', 'UT', 'SQ'].includes(group.toString('latin1', at + 4, at + 6))
    if (isLong && at + 12 > bytesRead) break
    const value = at + (isLong ? 12 : 8)
    const end = value + (isLong ? group.readUInt32LE(at + 8) : group.readUInt16LE(at + 6))
    found.set(group.readUInt16LE(at + 2), group.toString('latin1', value, end).replace(/[\0 ]+$/, ''))
    at = end
  }
  const [sopClass, sopInstance, transferSyntax] = [found.get(0x0002), found.get(0x0003), found.get(0x0010)]
  if (!sopClass || !sopInstance || !transferSyntax) throw new Error('the file meta group does not say what the file is')
  return { sopClass, sopInstance, transferSyntax, dataAt: 144 + length }
}

const unexpected = (what: Incoming): Error => {
  if (what.kind === 'broken') return what.error
  if (what.kind === 'late') return new Error('no answer in time')
  if (what.kind === 'pdu' && what.type === pdu.associateRj)
    return new Error(`the association was rejected: ${what.body.subarray(1, 4).join(', ')}`)
  if (what.kind === 'pdu' && what.type === pdu.abort)
    return new Error(`the association was aborted: ${what.body.subarray(2, 4).join(', ')}`)
  return new Error(`the connection ended without an answer: ${what.kind}`)
}

/** @returns the longest P-DATA-TF that the peer takes, or undefined where it does not take such images */
async function associate(link: Link, target: DicomTarget, meta: FileMeta): Promise<number | undefined> {
  const { sopClass: abstractSyntax, transferSyntax } = meta
  const contexts = [{ id: contextId, abstractSyntax, transferSyntaxes: [transferSyntax] }]
  const { calledAeTitle: called, callingAeTitle: calling = 'RAYLOG-SEND' } = target
  link.send(writeAssociateRequest({ called, calling, contexts, maxLength: maxPduBytes }, implementation))
  const answer = await link.take(answerMs.association)
  if (answer.kind !== 'pdu' || answer.type !== pdu.associateAc) throw unexpected(answer)
  const accept = readAssociateAccept(answer.body)
  const accepted = accept.contexts.some(({ id, result }) => id === contextId && result === contextResult.accepted)
  return accepted ? accept.maxLength : undefined
}

async function readResponse(link: Link): Promise<{ status: number; comment: string }> {
  const parts: Buffer[] = []
  for (;;) {
    const what = await link.take(answerMs.store)
    if (what.kind !== 'fragment') throw unexpected(what)
    parts.push(what.bytes)
    if (what.done && isLast(what.flags)) return readCommand(Buffer.concat(parts))
  }
}

const hex = (status: number) => `0x${status.toString(16).toUpperCase().padStart(4, '0')}`

function toAttempt({ status, comment }: { status: number; comment: string }): Attempt {
  // Warnings (0xBxxx) mean that it is stored; 0xA7xx that there is no room for the moment (PS3.4 B.2.3).
  const ok = status === 0 || (status & 0xf000) === 0xb000
  return { ok, again: (status & 0xff00) === 0xa700, text: comment ? `${hex(status)} ${comment}` : hex(status) }
}

async function store(socket: Socket, path: string, target: DicomTarget, meta: FileMeta): Promise<Attempt> {
  const link = createLink(socket, maxPduBytes)
  const maxLength = await associate(link, target, meta)
  if (maxLength === undefined) {
    link.finish(writePdu(pdu.releaseRq, Buffer.alloc(4)))
    return { ok: false, again: false, text: `not taken there: ${meta.sopClass} as ${meta.transferSyntax}` }
  }
  const command = writeStoreRequest(1, meta.sopClass, meta.sopInstance)
  const dataSet: AsyncIterable<Buffer> = createReadStream(path, { start: meta.dataAt, highWaterMark: maxPduBytes })
  await sendMessage(link, { context: contextId, command, dataSet }, maxLength, answerMs.store)
  const attempt = toAttempt(await readResponse(link))
  link.send(writePdu(pdu.releaseRq, Buffer.alloc(4)))
  await link.take(5_000)
  link.finish()
  return attempt
}

/** One association for one file. @throws on troubles of the connection, which may pass */
export async function storeFile(path: string, target: DicomTarget): Promise<Attempt> {
  const file = await open(path)
  const meta = await readMeta(file)
    .catch((thrown: Error): Attempt => ({ ok: false, again: false, text: thrown.message }))
    .finally(() => file.close())
  if ('ok' in meta) return meta
  const socket = connect({ host: target.host, port: target.port, noDelay: true })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(answerMs.association) })
    return await store(socket, path, target, meta)
  } finally {
    socket.destroy()
  }
}
