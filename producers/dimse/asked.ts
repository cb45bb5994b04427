/** What is asked of us, for the audit: queries by the names of their keys, never by what was searched for; and what is sent. */

import type { AuditTrail } from '../../kafka/audit-trail.ts'
import { writeSopClasses } from '../../schemas/audit.ts'
import { indexedAttribute } from '../../schemas/dicom-index.ts'
import { type Identifier, uniqueKeys } from './identifier.ts'
import type { Association } from './services/service.ts'

/** A retrieval that is served: what it names, and where it goes. */
export interface Asked {
  association: Association
  identifier: Identifier
  /** AE title that a C-MOVE sends to. */
  destination: string | undefined
}

export interface AskedAudit {
  queried(association: Association, identifier: Identifier): void
  sending(asked: Asked): void
  /** @param sopClasses of the instances that were taken. @param missing how many were not */
  sent(asked: Asked, sopClasses: ReadonlyMap<string, number>, missing: number): void
}

/** Any attribute can be a key, and its name is nobody's secret; a private one has none. */
const nameOf = (tag: string) => indexedAttribute(tag)?.keyword ?? tag

function whoAsked({ calling, address, called, peer }: Association) {
  return { actor: calling || '(none)', address, detail: { called, peer: peer?.name } }
}

export function createAskedAudit(trail: AuditTrail): AskedAudit {
  /** The study where one is named; else the peer asked for a patient, or for several. */
  function told({ association, identifier, destination }: Asked) {
    const study = identifier.keys.get(uniqueKeys.STUDY)?.trim() ?? ''
    const one = /^[0-9.]+$/.test(study) ? study : undefined
    const { detail, ...who } = whoAsked(association)
    return { ...who, object: one ?? identifier.level, detail: { ...detail, study: one, destination } }
  }

  return {
    queried(association, { level, keys }) {
      const { detail, ...who } = whoAsked(association)
      const query = [level, ...[...keys.keys()].map(nameOf)].join(' ')
      trail.tell({ action: 'query', ...who, object: level, outcome: 'success', detail: { ...detail, query } })
    },
    sending: asked => trail.tell({ action: 'instances-sending', outcome: 'success', ...told(asked) }),
    sent(asked, sopClasses, missing) {
      const { detail, ...who } = told(asked)
      const reason = missing > 0 ? `${missing} instances were not sent` : undefined
      trail.tell({
        ...{ action: 'instances-sent', outcome: missing > 0 ? 'failure' : 'success', ...who },
        detail: { ...detail, reason, sopClasses: writeSopClasses(sopClasses) },
      })
    },
  }
}
