/** C-FIND (PS3.4 C.4.1): answers as they are found, each sent before the next is looked for. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { commandField, status, writeResponse } from '../../../dicom/command.ts'
import { writeElements } from '../../../dicom/data-set.ts'
import type { QueryLevel } from '../../../schemas/dicom-index.ts'
import type { DicomAttributes } from '../../../schemas/dicom-json.ts'
import { toRaylogError } from '../../../schemas/errors.ts'
import { attributesOf, type DicomIndex, type DicomMatch } from '../../../storage/dicom-query.ts'
import type { AskedAudit } from '../asked.ts'
import { type Identifier, identifierMismatch, levelsTo, readIdentifier, uniqueKeys } from '../identifier.ts'
import { serviceClass } from '../sop-classes.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface FindOptions {
  index: DicomIndex
  logger: Logger
  /** Told as Retrieve AE Title. */
  aeTitle: string
  /** More are cut off with "out of resources". */
  maxMatches: number
  audit: AskedAudit
  /** Longest identifier, bytes. */
  maxIdentifierBytes: number
}

/** Of PS3.4 C.4.1.1.4. Pending, where some keys narrowed nothing; more matches than the limit. */
export const findStatus = { someKeysUnsupported: 0xff01, tooMany: 0xa700 } as const
/** Matches between two turns of the event loop, in which a C-CANCEL can be seen and others are served. */
const matchesATurn = 16

/** The status of PS3.4 C.4.1.1.4 for what went wrong. */
export function queryFailure(thrown: unknown): Answer {
  const { code, entry, message } = toRaylogError(thrown)
  const comment = `${code}: ${message}`
  return { code: code === 'identity-mismatch' ? identifierMismatch : entry.dimse, comment }
}

export function findService(options: FindOptions): Service {
  const { index, logger } = options

  async function serve(message: Message): Promise<Answer> {
    const { association } = message
    try {
      const identifier = await readIdentifier(message, options.maxIdentifierBytes)
      options.audit.queried(association, identifier)
      return await answer(message, identifier)
    } catch (thrown) {
      if (thrown instanceof AssociationEnded) throw thrown
      const failed = queryFailure(thrown)
      logger.warn({ calling: association.calling, status: failed.code, reason: failed.comment }, 'query failed')
      return failed
    }
  }

  async function answer(message: Message, { level, keys }: Identifier): Promise<Answer> {
    const { association, id, context, command } = message
    const query = { level, keys: Object.fromEntries(keys), signal: association.signal }
    const some = index.unsupported(query).length > 0
    const pending = writeResponse(command, some ? findStatus.someKeysUnsupported : status.pending, { hasDataSet: true })
    const write = answerWriter(options.aeTitle, level, keys, context.abstractSyntax)
    let sent = 0
    for await (const match of index.find(query)) {
      if (sent % matchesATurn === 0) await turn()
      if (await isCancelled(message)) return { code: status.cancelled }
      if (sent++ >= options.maxMatches)
        return { code: findStatus.tooMany, comment: `more than ${options.maxMatches} matches: ask for less` }
      await association.send(id, pending, writeElements(write(match), context.transferSyntax))
    }
    return { code: status.success }
  }

  return { field: commandField.find, takes: uid => serviceClass(uid)?.service === 'find', serve }
}

/** Whether a C-CANCEL for the request has come. Does not wait. @throws AssociationEnded, ProtocolError */
export async function isCancelled({ association, command }: Message): Promise<boolean> {
  const came = await association.receive(0)
  return came?.field === commandField.cancel && came.respondedTo === command.messageId
}

function answerWriter(
  aeTitle: string,
  level: QueryLevel,
  keys: ReadonlyMap<string, string>,
  abstractSyntax: string,
): (match: DicomMatch) => DicomAttributes {
  const root = serviceClass(abstractSyntax)?.root ?? 'STUDY'
  const include = [...new Set([...keys.keys(), ...levelsTo(level, root).map(each => uniqueKeys[each])])]
  return ({ values }) => ({
    ...attributesOf(values, { level, include, onlyNamed: true }),
    '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
    '00080052': { vr: 'CS', Value: [level] },
    '00080054': { vr: 'AE', Value: [aeTitle] },
  })
}
