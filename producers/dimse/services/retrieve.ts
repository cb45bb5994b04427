/** What C-MOVE and C-GET share (PS3.4 C.4.2, C.4.3): which instances, one sub-operation after the other, and what is told. */
import { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { status, writeResponse } from '../../../dicom/command.ts'
import { writeElements } from '../../../dicom/data-set.ts'
import { outcomeOf } from '../../../dicom/outcome.ts'
import { metaBytes, readFileMeta } from '../../../dicom/part10.ts'
import type { DicomReader, Images, ReadableObject } from '../../../models/imaging/port.ts'
import type { QueryLevel } from '../../../schemas/dicom-index.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import type { DicomIndex } from '../../../storage/dicom-query.ts'
import type { ObjectStore } from '../../../storage/objects.ts'
import { chunksOf } from '../../bytes.ts'
import type { FairGate } from '../../gate.ts'
import type { AskedAudit } from '../asked.ts'
import { type Identifier, levelsTo, readIdentifier, uniqueKeys } from '../identifier.ts'
import { serviceClass } from '../sop-classes.ts'
import { isCancelled, queryFailure } from './find.ts'
import { type Answer, AssociationEnded, type Message } from './service.ts'

export interface RetrieveOptions {
  index: DicomIndex
  objects: Pick<ObjectStore, 'get' | 'range' | 'stream'>
  /** Gives what a peer does not take as it is stored in a transfer syntax that it takes; and without the people in it. */
  images: Pick<Images, 'deidentify' | 'maxDeidentified'> & { dicom: Pick<DicomReader, 'transcode' | 'transcodesTo'> }
  /** Places for objects that are held whole to be de-identified, of all retrievals together and to each receiver. */
  whole: FairGate
  logger: Logger
  audit: AskedAudit
  /** Instances of one request; more are refused with "unable to calculate number of matches". */
  maxInstances: number
  /** Longest identifier, bytes. */
  maxIdentifierBytes: number
}

/** An instance to be sent. */
export interface Stored {
  site: string
  sopClass: string
  sopInstance: string
  transferSyntax: string
  object: ReadableObject
}

export type Outcome = 'completed' | 'warning' | 'failed'

/** Sends instances, one at a time. */
export interface Sender {
  /** A C-CANCEL came while an instance was on its way. */
  readonly cancelled?: boolean
  /** Resolves with what became of it. @throws AssociationEnded, ProtocolError where the peer that asked is gone or broken */
  send(instance: Stored): Promise<Outcome>
  /** Always called, at the end. */
  close(): Promise<void>
}

/** Statuses of PS3.4 C.4.2.1.5. */
export const retrieveStatus = { tooMany: 0xa701, nothingSent: 0xa702, someFailed: 0xb000 } as const

/** Failed SOP Instance UID List. */
const failedList = '00080058'

/** The instances that an identifier names (PS3.4 C.4.2.2.1). @throws RaylogError identity-mismatch, too-large */
async function instancesOf(
  { index, maxInstances }: RetrieveOptions,
  { level, keys }: Identifier,
  message: Message,
): Promise<Stored[]> {
  const root = serviceClass(message.context.abstractSyntax)?.root ?? 'STUDY'
  const found: Stored[] = []
  const query = { level: 'IMAGE' as const, keys: uniqueOf(level, root, keys), signal: message.association.signal }
  for await (const { instance } of index.find(query)) {
    if (!instance) continue
    if (found.length === maxInstances) throw new RaylogError('too-large', `more than ${maxInstances} instances`)
    const { site, uid: sopInstance, transferSyntax, object, values } = instance
    found.push({ site, sopClass: String(values['00080016']?.[0] ?? ''), sopInstance, transferSyntax, object })
  }
  return found
}

/** Unique keys alone narrow a retrieval, and that of its level must be there: an empty one would fetch the archive. */
function uniqueOf(level: QueryLevel, root: QueryLevel, keys: Identifier['keys']): Record<string, string> {
  const asked: Record<string, string> = {}
  for (const each of levelsTo(level, root)) {
    const value = keys.get(uniqueKeys[each])?.trim() ?? ''
    if (/[*?]/.test(value)) throw new RaylogError('identity-mismatch', 'a wild card in a unique key')
    if (value !== '') asked[uniqueKeys[each]] = value
  }
  if (asked[uniqueKeys[level]] === undefined)
    throw new RaylogError('identity-mismatch', `no unique key of the level ${level}`)
  return asked
}

/**
 * Serves a C-MOVE or C-GET.
 * @param open makes the sender once it is known what will be sent
 */
export async function retrieve(
  message: Message,
  options: RetrieveOptions,
  open: (instances: readonly Stored[]) => Sender,
): Promise<Answer> {
  try {
    const identifier = await readIdentifier(message, options.maxIdentifierBytes)
    const instances = await instancesOf(options, identifier, message)
    const asked = {
      association: message.association,
      identifier,
      destination: message.command.destination || undefined,
    }
    const taken = new Map<string, number>()
    options.audit.sending(asked)
    const sender = open(instances)
    try {
      return await sendAll(message, instances, counting(sender, taken), options.logger)
    } finally {
      const sent = [...taken.values()].reduce((sum, count) => sum + count, 0)
      options.audit.sent(asked, taken, instances.length - sent)
      await sender.close()
    }
  } catch (thrown) {
    if (thrown instanceof AssociationEnded) throw thrown
    const failed = queryFailure(thrown)
    options.logger.warn(
      { calling: message.association.calling, status: failed.code, reason: failed.comment },
      'retrieval failed',
    )
    return toRaylogError(thrown).code === 'too-large' ? { ...failed, code: retrieveStatus.tooMany } : failed
  }
}

/** The same, counting what was taken by SOP class. */
function counting(sender: Sender, taken: Map<string, number>): Sender {
  return {
    get cancelled() {
      return sender.cancelled ?? false
    },
    async send(instance) {
      const outcome = await sender.send(instance)
      if (outcome !== 'failed') taken.set(instance.sopClass, (taken.get(instance.sopClass) ?? 0) + 1)
      return outcome
    },
    close: () => sender.close(),
  }
}

async function sendAll(
  message: Message,
  instances: readonly Stored[],
  sender: Sender,
  logger: Logger,
): Promise<Answer> {
  const { association, id, context, command } = message
  const counts = { completed: 0, failed: 0, warning: 0 }
  const failed: string[] = []
  let remaining = instances.length
  const answer = (code: number, withRemaining = false): Answer => ({
    code,
    subOperations: withRemaining ? { remaining: count(remaining), ...counted(counts) } : counted(counts),
    dataSet: failed.length > 0 ? failedIdentifier(failed, context.transferSyntax) : undefined,
  })
  for (const instance of instances) {
    if (sender.cancelled || (await isCancelled(message))) return answer(status.cancelled, true)
    const outcome = await sender.send(instance)
    counts[outcome]++
    remaining--
    if (outcome === 'failed') failed.push(instance.sopInstance)
    const subOperations = { remaining: count(remaining), ...counted(counts) }
    if (remaining > 0) await association.send(id, writeResponse(command, status.pending, { subOperations }))
  }
  logger.info({ calling: association.calling, ...counts }, 'retrieval')
  if (counts.failed === 0) return answer(status.success)
  return answer(counts.failed === instances.length ? retrieveStatus.nothingSent : retrieveStatus.someFailed)
}

/** Numbers of sub-operations are US: a larger number cannot be said. */
const count = (number: number) => Math.min(number, 0xffff)
const counted = (counts: { completed: number; failed: number; warning: number }) => ({
  completed: count(counts.completed),
  failed: count(counts.failed),
  warning: count(counts.warning),
})

function failedIdentifier(uids: readonly string[], transferSyntax: string): Buffer {
  // In explicit VR a list of UIDs has 64 KB at most: what does not fit is told by the number of failures alone.
  const room = Math.floor(0xfffe / 65)
  return writeElements({ [failedList]: { vr: 'UI', Value: uids.slice(0, room) } }, transferSyntax)
}

/** What is sent of a stored instance: as it is, or without the people in it. */
export interface Outgoing {
  sopInstance: string
  /** Of those given, a context of its class: in the syntax that it has, or else one that it can be given in. */
  contextOf<C extends { abstractSyntax: string; transferSyntax: string }>(contexts: readonly C[]): C | undefined
  /** @throws RaylogError object-missing, decode-failed and its like, before the first byte */
  dataSet(transferSyntax: string): Promise<AsyncIterable<Buffer>>
  /** Always called, when it has been sent or will not be. */
  done(): void
}

/** Who an instance goes to. */
export interface Receiver {
  /** Places are counted by it: no one name has all of them. */
  name: string
  deidentify: boolean
  signal: AbortSignal
}

/** For a place among those that are de-identified, ms. */
const waitMs = 120_000

/** @throws RaylogError what de-identification does, too-large where it may not be held in memory for it, busy */
export async function outgoing(options: SendOptions, stored: Stored, to: Receiver): Promise<Outgoing> {
  return to.deidentify ? withoutPeople(options, stored, to) : asStored(options, stored)
}

type SendOptions = Pick<RetrieveOptions, 'objects' | 'images' | 'whole'>

function contextIn(sopClass: string, syntaxes: readonly string[]): Outgoing['contextOf'] {
  return contexts => {
    const usable = contexts.filter(({ abstractSyntax }) => abstractSyntax === sopClass)
    for (const syntax of syntaxes) {
      const found = usable.find(each => each.transferSyntax === syntax)
      if (found) return found
    }
    return undefined
  }
}

function asStored({ objects, images }: SendOptions, stored: Stored): Outgoing {
  const { object, sopClass, sopInstance, transferSyntax } = stored
  return {
    sopInstance,
    contextOf: contextIn(sopClass, [transferSyntax, ...images.dicom.transcodesTo(transferSyntax)]),
    async dataSet(as) {
      if (as !== transferSyntax) return (await images.dicom.transcode(object, as)).dataSet
      const head = await objects.range(object.key, { start: 0, end: metaBytes - 1 })
      const start = readFileMeta(head)?.dataAt ?? 0
      return chunksOf(await objects.stream(object.key, { start, end: object.bytes - 1 }))
    },
    done: () => undefined,
  }
}

/** In the syntax that de-identification leaves it in, and no other. */
async function withoutPeople(options: SendOptions, stored: Stored, { name, signal }: Receiver): Promise<Outgoing> {
  const { images, whole } = options
  const { object } = stored
  if (object.bytes > images.maxDeidentified)
    throw new RaylogError('too-large', `larger than may be de-identified: ${images.maxDeidentified} bytes`)
  const leave = await whole.enter(name, waitMs, signal)
  try {
    return await cleaned(options, stored, leave)
  } catch (thrown) {
    leave()
    throw thrown
  }
}

async function cleaned(
  { objects, images }: SendOptions,
  { object, site }: Stored,
  done: () => void,
): Promise<Outgoing> {
  const { bytes } = await images.deidentify(await objects.get(object.key), site)
  const clean = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const meta = readFileMeta(clean)
  if (!meta) throw new RaylogError('not-deidentified', 'only DICOM objects are sent')
  return {
    sopInstance: meta.sopInstance,
    contextOf: contextIn(meta.sopClass, [meta.transferSyntax]),
    async dataSet() {
      return Readable.from([clean.subarray(meta.dataAt)])
    },
    done,
  }
}

/** As what a sub-operation counts whose C-STORE ended so. */
export function countedAs(code: number): Outcome {
  const outcome = outcomeOf(code)
  return outcome === 'done' ? 'completed' : outcome === 'warning' ? 'warning' : 'failed'
}
