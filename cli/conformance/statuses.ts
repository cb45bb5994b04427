/** Tables of the statuses that are answered: the codes are the services' own, and each must have its words here. */
import { status } from '../../dicom/command.ts'
import { identifierMismatch } from '../../producers/dimse/identifier.ts'
import { actionStatus } from '../../producers/dimse/services/commitment.ts'
import { reportStatus } from '../../producers/dimse/services/commitment-report.ts'
import { findStatus } from '../../producers/dimse/services/find.ts'
import { moveStatus } from '../../producers/dimse/services/move.ts'
import { stepStatus } from '../../producers/dimse/services/procedure-step.ts'
import { retrieveStatus } from '../../producers/dimse/services/retrieve.ts'
import { failureReason } from '../../producers/dimse/verify.ts'
import { type ErrorEntry, errorTable } from '../../schemas/error-table.ts'
import { table } from './table.ts'

export const hex = (code: number) => `0x${code.toString(16).toUpperCase().padStart(4, '0')}`

/** A code of which nothing is said here does not compile. */
function rows<K extends string>(codes: Readonly<Record<K, number>>, words: Readonly<Record<K, string>>) {
  return Object.entries<number>(codes).map(([name, code]) => [code, words[name as K]] as const)
}

function statuses(what: string, all: readonly (readonly [number, string])[]): string {
  const byCode = Map.groupBy(all, ([code]) => code)
  return table(
    [what, 'when'],
    [...byCode].map(([code, same]) => [hex(code), [...new Set(same.map(([, when]) => when))].join('; ')]),
  )
}

const success = (when: string) => rows({ success: status.success }, { success: when })

/** The failures that whoever sends an image can be told of, by status: of C-STORE, and the reasons of STOW-RS. */
export function intakeFailures(): [string, string][] {
  const told = Object.entries<ErrorEntry>(errorTable).filter(([, { intake }]) => intake)
  const byStatus = Map.groupBy(told, ([, { dimse }]) => dimse)
  return [...byStatus]
    .toSorted(([a], [b]) => a - b)
    .map(([code, errors]) => [hex(code), errors.map(([name]) => `\`${name}\``).join(', ')])
}

export const storeStatuses = (): string =>
  table(
    ['status', 'when'],
    [
      [hex(status.success), 'the image is durably stored'],
      ...intakeFailures(),
      [hex(status.sopClassNotSupported), 'the SOP class is not that of the presentation context'],
    ],
  )

/** Errors of a query that are not of its own statuses have that of the error table. */
const failed = {
  away: errorTable['store-unavailable'].dimse,
  unreadable: errorTable['malformed-dicom'].dimse,
  mismatch: identifierMismatch,
}

export const queryStatuses = (): string =>
  statuses('status', [
    ...rows(
      { pending: status.pending, someKeysUnsupported: findStatus.someKeysUnsupported },
      {
        pending: 'pending; of C-MOVE and C-GET after each sub-operation, with its counters',
        someKeysUnsupported: 'of C-FIND: pending, and some keys of the query are not supported',
      },
    ),
    ...success('complete'),
    ...rows(
      { someFailed: retrieveStatus.someFailed, cancelled: status.cancelled },
      {
        someFailed: 'complete, some sub-operations failed; Failed SOP Instance UID List (0008,0058) names them',
        cancelled: 'cancelled',
      },
    ),
    ...rows(
      { away: failed.away, tooManyMatches: findStatus.tooMany },
      { away: 'a store is away', tooManyMatches: 'of C-FIND: more matches than `dimse.query.maxMatches`' },
    ),
    ...rows(
      { tooMany: retrieveStatus.tooMany, nothingSent: retrieveStatus.nothingSent, ...moveStatus },
      {
        tooMany: 'more instances than `dimse.query.maxInstances`, or an identifier that is too long',
        nothingSent: 'no sub-operation succeeded',
        destinationUnknown: 'of C-MOVE: the destination is not known',
      },
    ),
    ...rows(
      { mismatch: failed.mismatch, unreadable: failed.unreadable },
      {
        mismatch: 'the identifier does not fit the information model',
        unreadable: 'the identifier cannot be understood',
      },
    ),
  ])

export const commitmentStatuses = (): string =>
  [
    'N-ACTION:',
    statuses('status', [
      ...success('the request is durable'),
      ...rows(actionStatus, {
        noSuchInstance: 'not the well-known instance',
        noSuchAction: 'another action than 1',
        invalidArgument: 'no transaction UID, no references, or a data set that cannot be read',
        failure: 'a store is away: ask again',
      }),
    ]),
    'Reports:',
    statuses(
      'failure reason',
      rows(failureReason, {
        processing: 'the stored object does not have its digest',
        noSuchObject: 'no such instance here',
        classConflict: 'it is of another SOP class',
      }),
    ),
    'N-EVENT-REPORT, as SCU:',
    statuses('status', [
      ...success('the report is kept'),
      ...rows(reportStatus, {
        invalidArgument: 'a transaction that this peer was not asked for, or a data set that cannot be read',
        failure: 'a store is away: report again',
      }),
    ]),
  ].join('\n\n')

export const stepStatuses = (): string =>
  statuses('status', [
    ...success('kept'),
    ...rows(stepStatus, {
      failure: 'the step is at its end, or a store is away',
      duplicate: 'there is such a step already',
      noSuchInstance: 'there is no such step',
      invalidValue: 'no UID, no study, a status that a step cannot have, or a data set that cannot be read',
    }),
  ])
