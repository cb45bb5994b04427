/**
 * C-STORE of a file, its data set byte for byte as it stands: what is damaged must arrive damaged, to be refused. (A sender
 * that parses and writes anew, as dcmjs-dimse's, fills up a radiograph that was cut off with black, and it is accepted.)
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { type Command, writeStoreRequest } from '../dicom/command.ts'
import { outcomeOf } from '../dicom/outcome.ts'
import { type FileMeta, metaBytes, readFileMeta } from '../dicom/part10.ts'
import type { Requestor } from '../dicom/requestor.ts'
import { talk } from '../dicom/talk.ts'
import type { DicomTls, Peer } from '../schemas/peers.ts'
import type { Attempt } from './send.ts'

export interface DicomTarget {
  host: string
  port: number
  calledAeTitle: string
  callingAeTitle?: string
  /** Over TLS, with this certificate of ours. */
  tls?: DicomTls | undefined
  /** That the other side must show, over TLS. */
  certificate?: Peer['certificate']
}

/** For the connection and the association, and for the answer to an image, ms. */
export const waitMs = { associateMs: 30_000, answerMs: 120_000 }

/** @throws where it does not say what it is */
async function readMeta(path: string): Promise<FileMeta> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(metaBytes), 0, metaBytes, 0)
    const meta = readFileMeta(buffer.subarray(0, bytesRead))
    if (!meta?.sopClass || !meta.sopInstance || !meta.transferSyntax)
      throw new Error('the file meta group does not say what the file is')
    return meta
  } finally {
    await file.close()
  }
}

const hex = (status: number) => `0x${status.toString(16).toUpperCase().padStart(4, '0')}`

function toAttempt({ status, comment }: Pick<Command, 'status' | 'comment'>): Attempt {
  const outcome = outcomeOf(status)
  const ok = outcome === 'done' || outcome === 'warning'
  return { ok, again: outcome === 'later', text: comment ? `${hex(status)} ${comment}` : hex(status) }
}

async function store(peer: Requestor, path: string, meta: FileMeta): Promise<Attempt> {
  const { sopClass, sopInstance, transferSyntax, dataAt } = meta
  const [context] = peer.contexts
  if (!context) return { ok: false, again: false, text: `not taken there: ${sopClass} as ${transferSyntax}` }
  const dataSet: AsyncIterable<Buffer> = createReadStream(path, { start: dataAt, highWaterMark: 131_072 })
  return toAttempt(await peer.request(context, id => writeStoreRequest(id, sopClass, sopInstance), dataSet))
}

/** One association for one file. @throws on troubles of the connection, which may pass */
export async function storeFile(path: string, target: DicomTarget): Promise<Attempt> {
  const meta = await readMeta(path).catch(
    (thrown: Error): Attempt => ({ ok: false, again: false, text: thrown.message }),
  )
  if ('ok' in meta) return meta
  const { calledAeTitle: name, host, port, tls, certificate = null } = target
  const at = { name, host, port, certificate, tls: tls !== undefined }
  const { calledAeTitle: called, callingAeTitle: calling = 'RAYLOG-SEND' } = target
  const contexts = [{ abstractSyntax: meta.sopClass, transferSyntaxes: [meta.transferSyntax] }]
  return talk(at, tls ?? null, { called, calling, contexts, ...waitMs }, peer => store(peer, path, meta))
}
