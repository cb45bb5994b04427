/**
 * An audit entry as DICOM says it: the XML of PS3.15 A.5.1 in a syslog message of RFC 5424. Patients are named by their
 * pseudonym (ParticipantObjectID, and ParticipantObjectName since the schema asks for one or a query).
 */
import { isIP } from 'node:net'
import { type AuditKind, auditKind, readSopClasses } from '../../schemas/audit.ts'
import type { AuditEntry } from '../../schemas/topics.ts'

export interface AuditSource {
  /** AuditEnterpriseSiteID. */
  site: string
  /** AuditSourceID: this installation. */
  id: string
  /** Network name of this process. */
  host: string
  processId: number
}

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
/** What XML 1.0 does not allow at all becomes a question mark; the rest is escaped. */
function text(value: string): string {
  const plain = value.toWellFormed().replace(/[^\x20-\uFFFD]|\x7f/g, '?')
  return plain.replace(/[&<>"]/g, found => escapes[found] ?? found)
}

function element(name: string, attributes: Attributes, ...inner: string[]): string {
  const said = Object.entries(attributes)
    .flatMap(([key, value]) => (value === undefined ? [] : [` ${key}="${text(String(value))}"`]))
    .join('')
  return inner.length === 0 ? `<${name}${said}/>` : `<${name}${said}>${inner.join('')}</${name}>`
}

const coded = (name: string, code: string, codeSystemName: string, originalText: string) =>
  element(name, { 'csd-code': code, codeSystemName, originalText })
const dcm = (name: string, { code, meaning }: { code: string; meaning: string }) => coded(name, code, 'DCM', meaning)

const roles = {
  application: { code: '110150', meaning: 'Application' },
  source: { code: '110153', meaning: 'Source Role ID' },
  destination: { code: '110152', meaning: 'Destination Role ID' },
}
type Role = keyof typeof roles

function participant(userId: string, requestor: boolean, address: string, role: Role): string {
  const network = { NetworkAccessPointID: address, NetworkAccessPointTypeCode: isIP(address) ? 2 : 1 }
  return element(
    'ActiveParticipant',
    { UserID: userId, UserIsRequestor: requestor, ...(address === '' ? {} : network) },
    dcm('RoleIDCode', roles[role]),
  )
}

/**
 * Who is where at a transfer, from the action: what is received comes from the actor, what is sent goes to it, unless another
 * is named as the destination. Of a query who asks is the source (PS3.15 A.5.3.10).
 */
function rolesOf({ action, address, detail: { destination } }: AuditEntry): { actor: Role; us: Role } {
  if (action.startsWith('instances-receiv') || action === 'query') return { actor: 'source', us: 'destination' }
  if (action.startsWith('instances-sen') || action === 'export') {
    if (destination === undefined) return { actor: 'destination', us: 'source' }
    return { actor: address === '' ? 'source' : 'application', us: 'source' }
  }
  return { actor: 'application', us: 'application' }
}

function participants(entry: AuditEntry, source: AuditSource): string[] {
  const { actor, us } = rolesOf(entry)
  const ours = (requestor: boolean) => participant(source.id, requestor, source.host, us)
  // What this process does of itself has no address.
  if (entry.address === '') return [participant(entry.actor, true, source.host, actor), ...others(entry)]
  return [participant(entry.actor, true, entry.address, actor), ours(false), ...others(entry)]
}

const others = ({ detail: { destination, destinationAddress = '' } }: AuditEntry) =>
  destination === undefined ? [] : [participant(destination, false, destinationAddress, 'destination')]

const detailOf = (type: string, value: string) =>
  element('ParticipantObjectDetail', { type, value: Buffer.from(value).toString('base64') })

/** What of the entry has no place of its own in the schema. */
const toldAsDetail = ['peer', 'called', 'reason', 'count', 'report', 'version', 'stages'] as const

function studyObject({ detail }: AuditEntry): string[] {
  if (detail.study === undefined) return []
  const classes = readSopClasses(detail.sopClasses ?? '').map(({ uid, count }) =>
    element('SOPClass', { UID: uid, NumberOfInstances: count }),
  )
  return [
    element(
      'ParticipantObjectIdentification',
      { ParticipantObjectID: detail.study, ParticipantObjectTypeCode: 2, ParticipantObjectTypeCodeRole: 3 },
      dcm('ParticipantObjectIDTypeCode', { code: '110180', meaning: 'Study Instance UID' }),
      element('ParticipantObjectName', {}, text(detail.study)),
      ...(classes.length > 0 ? [element('ParticipantObjectDescription', {}, ...classes)] : []),
    ),
  ]
}

function patientObject({ detail: { patient } }: AuditEntry): string[] {
  if (patient === undefined) return []
  return [
    element(
      'ParticipantObjectIdentification',
      { ParticipantObjectID: patient, ParticipantObjectTypeCode: 1, ParticipantObjectTypeCodeRole: 1 },
      coded('ParticipantObjectIDTypeCode', '2', 'RFC-3881', 'Patient Number'),
      element('ParticipantObjectName', {}, text(patient)),
    ),
  ]
}

function queryObject({ detail: { query } }: AuditEntry): string[] {
  if (query === undefined) return []
  return [
    element(
      'ParticipantObjectIdentification',
      { ParticipantObjectID: 'query', ParticipantObjectTypeCode: 2, ParticipantObjectTypeCodeRole: 24 },
      coded('ParticipantObjectIDTypeCode', '10', 'RFC-3881', 'Search Criteria'),
      element('ParticipantObjectQuery', {}, Buffer.from(query).toString('base64')),
    ),
  ]
}

/** What was done to whom, with the rest of what the entry says; in every message but those that begin or end a process. */
function subject(entry: AuditEntry): string {
  const said = toldAsDetail.flatMap(name =>
    entry.detail[name] === undefined ? [] : [[name, entry.detail[name]] as const],
  )
  return element(
    'ParticipantObjectIdentification',
    { ParticipantObjectID: entry.object, ParticipantObjectTypeCode: 2, ParticipantObjectTypeCodeRole: 13 },
    coded('ParticipantObjectIDTypeCode', '12', 'RFC-3881', 'URI'),
    element('ParticipantObjectName', {}, text(entry.object)),
    detailOf('action', entry.action),
    detailOf('id', entry.id),
    ...said.map(([name, value]) => detailOf(name, value)),
  )
}

/** EventOutcomeIndicator: 4, minor failure, where it is one: whatever failed is not the end of this application. */
function identification(entry: AuditEntry, { event, type, action }: AuditKind): string {
  return element(
    'EventIdentification',
    {
      EventActionCode: action,
      EventDateTime: new Date(entry.at).toISOString(),
      EventOutcomeIndicator: entry.outcome === 'success' ? 0 : 4,
    },
    dcm('EventID', event),
    ...(type ? [dcm('EventTypeCode', type)] : []),
    ...(entry.detail.reason === undefined ? [] : [element('EventOutcomeDescription', {}, text(entry.detail.reason))]),
  )
}

/** PS3.15 A.5.1, without a declaration: RFC 5424 says UTF-8 by its byte order mark. */
export function auditXml(entry: AuditEntry, source: AuditSource): string {
  return element(
    'AuditMessage',
    {},
    identification(entry, auditKind(entry.action)),
    ...participants(entry, source),
    element(
      'AuditSourceIdentification',
      { AuditEnterpriseSiteID: source.site, AuditSourceID: source.id },
      element('AuditSourceTypeCode', { 'csd-code': 4 }),
    ),
    ...studyObject(entry),
    ...patientObject(entry),
    ...queryObject(entry),
    subject(entry),
  )
}

/** Security/authorization messages (10), notice (5) or warning (4) (PS3.15 A.6). */
const priority = (outcome: AuditEntry['outcome']) => 10 * 8 + (outcome === 'success' ? 5 : 4)
const word = (value: string, most: number) => value.replace(/[^!-~]/g, '-').slice(0, most) || '-'

/** One message of RFC 5424, its payload UTF-8 after a byte order mark. MSGID as PS3.15 A.6 has it. */
export function syslogMessage(entry: AuditEntry, source: AuditSource): Buffer {
  const { host, processId } = source
  const time = new Date(entry.at).toISOString()
  const header = `<${priority(entry.outcome)}>1 ${time} ${word(host, 255)} raylog ${processId} DICOM+RFC3881 - `
  return Buffer.from(`${header}\uFEFF${auditXml(entry, source)}`, 'utf8')
}
