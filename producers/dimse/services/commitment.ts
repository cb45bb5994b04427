/** Storage commitment, push model (PS3.4 J.3): N-ACTION asks, N-EVENT-REPORT tells what is kept. */
import type { Logger } from 'pino'
import { commandField, status } from '../../../dicom/command.ts'
import { type Elements, readElements } from '../../../dicom/data-set.ts'
import { isUid } from '../../../dicom/uid.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import type { CommitmentDoc } from '../../../schemas/documents.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import { ids } from '../../../schemas/ids.ts'
import type { Commitments } from '../commitments.ts'
import { readAll } from '../identifier.ts'
import { commitmentClass, commitmentInstance } from '../sop-classes.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface CommitmentOptions {
  commitments: Commitments
  clock: Clock
  logger: Logger
  /** Longest list of references, bytes. */
  maxRequestBytes: number
}

const requestAction = 1
/** Statuses of N-ACTION (PS3.7 10.1.4.1.10). */
export const actionStatus = {
  noSuchInstance: 0x0112,
  noSuchAction: 0x0123,
  invalidArgument: 0x0115,
  failure: 0x0110,
} as const

export function commitmentService(options: CommitmentOptions): Service {
  const { commitments, clock, logger } = options

  async function serve(message: Message): Promise<Answer> {
    const { association, id, context, command, data } = message
    if (command.sopInstance !== commitmentInstance) return { code: actionStatus.noSuchInstance }
    if (command.type !== requestAction) return { code: actionStatus.noSuchAction }
    try {
      const elements = readElements(await readAll(data, options.maxRequestBytes), context.transferSyntax)
      const asked = requestOf(elements, association.calling, clock.now())
      await commitments.accept(asked, { association, context: id, transferSyntax: context.transferSyntax })
      return { code: status.success }
    } catch (thrown) {
      if (thrown instanceof AssociationEnded) throw thrown
      const { code, message: reason, entry } = toRaylogError(thrown)
      logger.warn({ calling: association.calling, code, reason }, 'commitment refused')
      const later = entry.verdict === 'wait' || entry.verdict === 'retry'
      return { code: later ? actionStatus.failure : actionStatus.invalidArgument, comment: `${code}: ${reason}` }
    }
  }
  return { field: commandField.action, takes: uid => uid === commitmentClass, serve }
}

/** @throws RaylogError bad-request */
function requestOf(elements: Elements, peer: string, now: number): CommitmentDoc {
  const transaction = elements.text('00081195', 'UI') ?? ''
  const items = elements.items('00081199').map(item => ({
    sopClass: item.text('00081150', 'UI') ?? '',
    sopInstance: item.text('00081155', 'UI') ?? '',
  }))
  if (!isUid(transaction)) throw new RaylogError('bad-request', 'no transaction UID')
  if (items.length === 0 || !items.every(item => isUid(item.sopClass) && isUid(item.sopInstance)))
    throw new RaylogError('bad-request', 'no references, or some without a UID')
  const id = ids.commitment(peer, transaction)
  return { id, peer, transaction, items, state: 'asked', attempts: 0, askedAt: now, dueAt: now }
}
