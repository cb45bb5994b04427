/** Answers to storage commitments that we asked for (PS3.4 J.3.3): an N-EVENT-REPORT from the peer that was asked. */
import type { Logger } from 'pino'
import { commandField, status } from '../../../dicom/command.ts'
import { type Elements, readElements } from '../../../dicom/data-set.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import type { CommitmentAskedDoc } from '../../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import { readAll } from '../identifier.ts'
import { commitmentClass } from '../sop-classes.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface CommitmentReportOptions {
  documents: Pick<DocumentStore, 'get' | 'advance'>
  clock: Clock
  logger: Logger
  /** Longest list of references, bytes. */
  maxRequestBytes: number
}

/** Statuses of N-EVENT-REPORT (PS3.7 10.1.1.1.8). */
export const reportStatus = { invalidArgument: 0x0115, failure: 0x0110 } as const
/** Of an instance that the answer does not name: the reason "processing failure" (PS3.3 C.14.1.1). */
const notNamed = 0x0110

export function commitmentReportService(options: CommitmentReportOptions): Service {
  const { clock, logger } = options

  async function serve({ association, context, data }: Message): Promise<Answer> {
    try {
      const elements = readElements(await readAll(data, options.maxRequestBytes), context.transferSyntax)
      const answered = await keep(options.documents, association.calling, elements, clock.now())
      const { delivery, failures } = answered
      if (failures.length > 0) logger.warn({ peer: association.calling, delivery, failures }, 'not committed to')
      return { code: status.success }
    } catch (thrown) {
      if (thrown instanceof AssociationEnded) throw thrown
      const { code, message: reason, entry } = toRaylogError(thrown)
      logger.warn({ calling: association.calling, code, reason }, 'report of a commitment refused')
      const later = entry.verdict === 'wait' || entry.verdict === 'retry'
      return { code: later ? reportStatus.failure : reportStatus.invalidArgument, comment: `${code}: ${reason}` }
    }
  }
  return { field: commandField.eventReport, takes: uid => uid === commitmentClass, serve }
}

/** The last answer counts. @throws RaylogError not-found where we never asked this peer for it */
async function keep(
  documents: CommitmentReportOptions['documents'],
  peer: string,
  elements: Elements,
  now: number,
): Promise<CommitmentAskedDoc> {
  const transaction = elements.text('00081195', 'UI') ?? ''
  for (;;) {
    const asked = transaction === '' ? undefined : await documents.get('commitmentsAsked', transaction)
    if (asked?.peer !== peer) throw new RaylogError('not-found', 'a transaction that this peer was not asked for')
    const failures = failuresOf(asked, elements)
    const state = failures.length > 0 ? 'failed' : 'kept'
    const answered: CommitmentAskedDoc = { ...asked, version: asked.version + 1, state, failures, answeredAt: now }
    if (await documents.advance('commitmentsAsked', answered)) return answered
  }
}

/** Those that failed, and those that are named nowhere. */
function failuresOf({ items }: CommitmentAskedDoc, elements: Elements): CommitmentAskedDoc['failures'] {
  const uid = (item: Elements) => item.text('00081155', 'UI') ?? ''
  const kept = new Set(elements.items('00081199').map(uid))
  const reasons = new Map(
    elements.items('00081198').map(item => [uid(item), Number(item.text('00081197', 'US') || notNamed)]),
  )
  return items.flatMap(({ sopInstance }) => {
    const reason = reasons.get(sopInstance) ?? (kept.has(sopInstance) ? undefined : notNamed)
    return reason === undefined ? [] : [{ sopInstance, reason }]
  })
}
