/**
 * What is put on platform.audit.v1, each action with its codes in an audit message of DICOM (PS3.15 A.5.3). Entries name
 * patients by pseudonym, and studies by UID; no entry holds a name, an accession number or what was searched for.
 */
import { ids } from './ids.ts'
import type { AuditEntry } from './topics/audit.ts'

interface Coded {
  code: string
  meaning: string
}

export interface AuditKind {
  /** EventID, DCM. */
  event: Coded
  /** EventTypeCode, DCM. */
  type?: Coded
  /** EventActionCode: create, read, update, delete, execute. */
  action: 'C' | 'R' | 'U' | 'D' | 'E'
}

const activity: Coded = { code: '110100', meaning: 'Application Activity' }
const begin: Coded = { code: '110102', meaning: 'Begin Transferring DICOM Instances' }
const accessed: Coded = { code: '110103', meaning: 'DICOM Instances Accessed' }
const transferred: Coded = { code: '110104', meaning: 'DICOM Instances Transferred' }
const alert: Coded = { code: '110113', meaning: 'Security Alert' }
const orderRecord: Coded = { code: '110109', meaning: 'Order Record' }
const nodeAuthentication: Coded = { code: '110126', meaning: 'Node Authentication' }

export const auditActions = {
  'application-start': { event: activity, type: { code: '110120', meaning: 'Application Start' }, action: 'E' },
  'application-stop': { event: activity, type: { code: '110121', meaning: 'Application Stop' }, action: 'E' },
  'association-opened': { event: alert, type: nodeAuthentication, action: 'E' },
  'association-rejected': { event: alert, type: nodeAuthentication, action: 'E' },
  'security-alert': { event: alert, action: 'E' },
  /** We receive from the actor. */
  'instances-receiving': { event: begin, action: 'E' },
  'instances-received': { event: transferred, action: 'C' },
  /** The actor gets from us; where the actor is this process, the destination does. */
  'instances-sending': { event: begin, action: 'E' },
  'instances-sent': { event: transferred, action: 'R' },
  /** Somebody has a study pulled from a peer, or has that pause, go on or end. The object is the retrieval. */
  'retrieval-asked': { event: begin, action: 'E' },
  'retrieval-changed': { event: begin, action: 'E' },
  /** Of us by the actor; where the actor is this process, of the destination. */
  query: { event: { code: '110112', meaning: 'Query' }, action: 'E' },
  /** Looked at, in parts: pictures, frames, attributes. */
  'instances-accessed': { event: accessed, action: 'R' },
  'audit-log-used': { event: { code: '110101', meaning: 'Audit Log Used' }, action: 'R' },
  export: { event: { code: '110106', meaning: 'Export' }, action: 'R' },
  /** Of a critical result: told, not told, seen, acknowledged, passed on, left unanswered. The object is the notification. */
  'result-sent': { event: orderRecord, action: 'R' },
  'result-not-sent': { event: orderRecord, action: 'R' },
  'result-seen': { event: orderRecord, action: 'R' },
  'result-acknowledged': { event: orderRecord, action: 'U' },
  'result-escalated': { event: orderRecord, action: 'U' },
  'result-unanswered': { event: orderRecord, action: 'U' },
} as const satisfies Record<string, AuditKind>

/** Until people have accounts, whoever holds the token of the API is one person. */
export const tokenHolder = 'token'

/** Who does what this process does of itself, where it has no AE title for it. */
export const ownName = 'raylog'

export type AuditAction = keyof typeof auditActions

/** The codes of an action; those that a later version wrote count as a security alert without a type. */
export function auditKind(action: string): AuditKind {
  return Object.hasOwn(auditActions, action) ? auditActions[action as AuditAction] : { event: alert, action: 'E' }
}

/** What an entry may say besides. All of it is told to whoever reads the audit, and to the syslog server. */
export interface AuditDetail {
  /** Name of the peer in the settings. */
  peer?: string | undefined
  /** AE title that was called. */
  called?: string | undefined
  /** AE titles, services, numbers: why something was refused. */
  reason?: string | undefined
  /** Study Instance UID. */
  study?: string | undefined
  /** Pseudonym. */
  patient?: string | undefined
  /** SOP Class UID and number of instances, as `uid=count` separated by spaces. */
  sopClasses?: string | undefined
  /** How many the entry stands for, where more than one. */
  count?: string | undefined
  /** Level and names of the attributes that were asked for, never their values. */
  query?: string | undefined
  /** Rule, channel and edition of a notification. */
  rule?: string | undefined
  channel?: string | undefined
  edition?: string | undefined
  /** Format of a report. */
  report?: string | undefined
  /** Destination of an export or a C-MOVE, or who is asked: an AE title, or a name in the settings. */
  destination?: string | undefined
  /** Where that is in the network. */
  destinationAddress?: string | undefined
  /** Version, stages and host of a process. */
  version?: string | undefined
  stages?: string | undefined
  host?: string | undefined
}

export interface Audited {
  action: AuditAction
  /** Who did it: an AE title, a person, this process. */
  actor: string
  /** What it was done to: an AE title, a study id, a stage. */
  object: string
  outcome: AuditEntry['outcome']
  /** Network address of the actor; empty where it is this process. */
  address: string
  detail?: AuditDetail
}

/** @param key makes the id: random, or derived from what happened where it may be told twice */
export function auditEntry({ detail = {}, ...said }: Audited, at: number, key: string): AuditEntry {
  const given = Object.entries(detail).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  return { ...said, id: ids.audit(key), detail: Object.fromEntries(given), at }
}

/** Of `sopClasses` in a detail. Unreadable parts are left out. */
export function readSopClasses(text: string): { uid: string; count: number }[] {
  return text.split(' ').flatMap(part => {
    const [uid = '', count = ''] = part.split('=')
    return /^[0-9.]+$/.test(uid) && /^\d+$/.test(count) ? [{ uid, count: Number(count) }] : []
  })
}

export const writeSopClasses = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([uid, count]) => `${uid}=${count}`).join(' ')
