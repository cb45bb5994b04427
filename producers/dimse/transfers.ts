/**
 * What each association brought, for the audit: that a study begins to come, and how much of it came. Told at the
 * association's end, and every so many images before, so that a kill leaves little untold.
 */

import type { AuditTrail } from '../../kafka/audit-trail.ts'
import { writeSopClasses } from '../../schemas/audit.ts'
import type { Instance } from '../../schemas/topics.ts'
import type { Association } from './services/service.ts'

const mostUntold = 1_000

interface Transfer {
  id: string
  study: string | undefined
  patient: string | undefined
  sopClasses: Map<string, number>
  untold: number
}

export interface Transfers {
  /** An image of the association is kept. */
  received(association: Association, event: Instance): void
}

export function createTransfers(trail: AuditTrail): Transfers {
  const all = new WeakMap<Association, Map<string, Transfer>>()

  function of(association: Association): Map<string, Transfer> {
    const known = all.get(association)
    if (known) return known
    const fresh = new Map<string, Transfer>()
    all.set(association, fresh)
    const end = () => {
      for (const transfer of fresh.values()) tell(association, transfer)
    }
    // The last image may be answered when its sender is gone already.
    if (association.signal.aborted) queueMicrotask(end)
    else association.signal.addEventListener('abort', end, { once: true })
    return fresh
  }

  function tell(association: Association, transfer: Transfer): void {
    if (transfer.untold === 0) return
    const { study, patient } = transfer
    trail.tell({
      ...{
        action: 'instances-received',
        actor: association.calling || '(none)',
        object: transfer.id,
        outcome: 'success',
      },
      address: association.address,
      detail: {
        ...{ study, patient, called: association.called, peer: association.peer?.name },
        sopClasses: writeSopClasses(transfer.sopClasses),
      },
    })
    transfer.sopClasses.clear()
    transfer.untold = 0
  }

  function begin(association: Association, { study, dicom, patient }: Instance): Transfer {
    const named = { study: dicom?.study, patient: patient ?? undefined }
    trail.tell({
      ...{ action: 'instances-receiving', actor: association.calling || '(none)', object: study, outcome: 'success' },
      address: association.address,
      detail: { ...named, called: association.called, peer: association.peer?.name },
    })
    return { ...named, id: study, sopClasses: new Map(), untold: 0 }
  }

  return {
    received(association, event) {
      const transfers = of(association)
      const transfer = transfers.get(event.study) ?? begin(association, event)
      transfers.set(event.study, transfer)
      const sopClass = event.dicom?.sopClass ?? ''
      transfer.sopClasses.set(sopClass, (transfer.sopClasses.get(sopClass) ?? 0) + 1)
      transfer.untold++
      if (transfer.untold >= mostUntold) tell(association, transfer)
    },
  }
}
