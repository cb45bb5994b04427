/**
 * What leaves, for the audit: a report to a PACS is an image that is sent (begun, and over), all else is an export. Told once of a
 * study, destination and format, then how many more: the reports of single images are hundreds of a study.
 */
import type { AuditTrail } from '../../kafka/audit-trail.ts'
import { type AuditAction, type AuditDetail, type Audited, ownName } from '../../schemas/audit.ts'
import type { Peer } from '../../schemas/peers.ts'
import type { ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Destination } from './config.ts'

export interface Departures {
  /** The first attempt at it begins. @throws what the store throws */
  begins(delivery: ReportDeliveryDoc): Promise<void>
  /** The destination has it, or never will. @returns what tells so. @throws what the store throws */
  over(delivery: ReportDeliveryDoc): Promise<() => void>
}

/** Studies of which it is remembered what the audit calls them. */
const remembered = 1_000

export function createDepartures(
  trail: Pick<AuditTrail, 'tellOften'>,
  documents: Pick<DocumentStore, 'get'>,
  destination: Destination,
  peers: readonly Peer[],
): Departures {
  const { actor, ...place } = placeOf(destination, peers)
  const isSending = destination.kind === 'dicom' || destination.kind === 'stow'
  const studies = new Map<string, Pick<AuditDetail, 'study' | 'patient'>>()

  /** As persist knows it: by its UID, and its patient by the pseudonym. */
  async function namesOf(id: string): Promise<Pick<AuditDetail, 'study' | 'patient'>> {
    const known = studies.get(id)
    if (known) return known
    const doc = await documents.get('studies', id)
    if (!doc) return {}
    const names = { study: doc.studyUid ?? undefined, patient: doc.patient ?? undefined }
    const [oldest] = studies.keys()
    if (studies.size >= remembered && oldest !== undefined) studies.delete(oldest)
    studies.set(id, names)
    return names
  }

  async function said(action: AuditAction, { study, format }: ReportDeliveryDoc, reason?: string): Promise<Audited> {
    const outcome = reason === undefined ? 'success' : 'failure'
    const detail = { ...(await namesOf(study)), ...place, report: format, reason }
    return { action, actor, object: study, outcome, address: '', detail }
  }

  return {
    async begins(delivery) {
      if (isSending) trail.tellOften(await said('instances-sending', delivery))
    },
    async over(delivery) {
      if (delivery.state === 'superseded') return () => undefined
      const reason = delivery.state === 'sent' ? undefined : (delivery.code ?? delivery.state)
      const what = await said(isSending ? 'instances-sent' : 'export', delivery, reason)
      return () => trail.tellOften(what)
    },
  }
}

type Place = { actor: string } & Pick<AuditDetail, 'peer' | 'destination' | 'destinationAddress'>

/** Who sends where: by AE titles over DIMSE, by the names of the settings otherwise. */
function placeOf(destination: Destination, peers: readonly Peer[]): Place {
  const { name } = destination
  const named = (destinationAddress?: string): Place => ({ actor: ownName, destination: name, destinationAddress })
  switch (destination.kind) {
    case 'dicom': {
      const { aeTitle, host } = peers.find(one => one.name === destination.peer) ?? {}
      const to = { destination: aeTitle ?? name, destinationAddress: host ?? undefined }
      return { actor: destination.aeTitle, peer: destination.peer, ...to }
    }
    case 'stow': {
      const { dicomweb } = peers.find(one => one.name === destination.peer) ?? {}
      return { ...named(dicomweb ? new URL(dicomweb.url).hostname : undefined), peer: destination.peer }
    }
    case 'fhir':
      return named(new URL(destination.url).hostname)
    case 's3':
      return named(new URL(destination.endpoint).hostname)
    case 'hl7':
      return named(destination.host)
    case 'folder':
      return named()
  }
}
