/** Sections 3 to 5 of the conformance statement: the application entity and what it does on the network. */
import { implementation } from '../../dicom/part10.ts'
import { reject } from '../../dicom/pdu.ts'
import { transcodedTo } from '../../models/imaging/dicom/syntaxes.ts'
import { uniqueKeys } from '../../producers/dimse/identifier.ts'
import { plainSyntaxes, serviceClasses } from '../../producers/dimse/sop-classes.ts'
import { dimse } from '../../producers/dimse/stage.ts'
import {
  isStorageClass,
  notStorage,
  storageRoot,
  transferSyntaxNames,
  verification,
} from '../../producers/dimse/syntaxes.ts'
import { indexedAttributes, queryLevels } from '../../schemas/dicom-index.ts'
import { peer } from '../../schemas/peers.ts'
import { requestorSection } from './requestor.ts'
import { commitmentStatuses, queryStatuses, stepStatuses, storeStatuses } from './statuses.ts'
import storageNames from './storage-classes.json' with { type: 'json' }
import { table } from './table.ts'

/** Defaults of the settings, as the schema has them. */
function defaults(): Record<string, unknown> {
  return Object(dimse.config.parse({}))
}

/** Why associations are rejected: the table that the acceptor takes its answers from. */
function rejections(): string {
  const why: Record<keyof typeof reject, string> = {
    applicationContext: 'the application context is not DICOM',
    callingAeUnknown: 'the caller is no peer of the settings, or not the one that it says',
    calledAeUnknown: 'another AE title than ours is called, with `dimse.strictAeTitle`',
    protocolVersion: 'the protocol version is not 1',
    tooManyAssociations:
      'as many associations as `maxAssociations` allows, of this peer or of all, or `dimse.maxAssociationsPerCaller` of who is no peer',
    stopping: 'Raylog is stopping',
  }
  return table(
    ['result', 'source', 'reason', 'when'],
    Object.entries(reject).map(([name, codes]) => [...codes.map(String), why[name as keyof typeof reject]]),
  )
}

const model = () => `## 2. Implementation model

One application entity, \`${String(defaults().aeTitle)}\` (\`dimse.aeTitle\`), listens for associations, by default on port ${String(defaults().port)} (\`dimse.port\`), over TCP/IP, with and
without TLS. It opens associations for the sub-operations of C-MOVE, for reports of storage commitment, and to store reports and ask for their commitment
(\`deliver\`, docs/delivery.md), to the systems that \`peers\` names;
and, where a retrieval is asked for, as SCU of Study Root FIND, GET and MOVE (\`retrieve\`, docs/peers.md), or of FIND alone,
to learn how many images a study has (\`expect-images\`, docs/studies.md).
An image is acknowledged when its bytes and its event are on stable storage.

## 3. Association policies

${table(
  ['what', 'value', 'setting'],
  [
    ['application context', '1.2.840.10008.3.1.1.1', ''],
    ['associations accepted at once', String(defaults().maxAssociations), '`dimse.maxAssociations`'],
    ['of one peer', String(peer.shape.maxAssociations.parse(undefined)), '`maxAssociations` of the peer'],
    ['of one who is no peer', String(defaults().maxAssociationsPerCaller), '`dimse.maxAssociationsPerCaller`'],
    [
      'connections of one address without an association',
      String(defaults().maxUnassociatedPerAddress),
      '`dimse.maxUnassociatedPerAddress`',
    ],
    ['longest P-DATA-TF received, bytes', String(defaults().maxPduBytes), '`dimse.maxPduBytes`'],
    ['asynchronous operations window', '1 (not negotiated)', ''],
    [
      'SCP/SCU role selection',
      'accepted for storage classes, for C-GET, and for storage commitment, for its reports',
      '',
    ],
    ['extended negotiation', 'none', ''],
    ['user identity negotiation', 'none', ''],
    ['implementation class UID', implementation.classUid, ''],
    ['implementation version name', implementation.version, ''],
    ['ARTIM, ms', String(defaults().artimMs), '`dimse.artimMs`'],
    ['idle association aborted after, ms', String(defaults().idleMs), '`dimse.idleMs`'],
    ['message of which nothing more comes aborted after, ms', String(defaults().stallMs), '`dimse.stallMs`'],
    ['longest object received, bytes', String(defaults().maxBytes), '`dimse.maxBytes`'],
    ['objects received at once', String(defaults().concurrency), '`dimse.concurrency`'],
    ['an object waits for a place, then 0xA700, ms', String(defaults().waitMs), '`dimse.waitMs`'],
  ],
)}

Who may associate, and for which services, is said by \`peers\` (docs/peers.md). An association that is not accepted is answered by A-ASSOCIATE-RJ (PS3.8 table 9-21):

${rejections()}

Of the transfer syntaxes that are proposed for a presentation context the first
that is known is taken. Nothing is converted on its way in; on its way out only for a peer that does not take it as it is stored (4.3).`

/** Those of the standard that are accepted; which they are is said by `isStorageClass`. */
function storageClasses(): string {
  const accepted = Object.entries<string>(storageNames).filter(([uid]) => isStorageClass(uid, false))
  return table(
    ['SOP class', 'UID'],
    accepted.map(([uid, name]) => [name, uid]),
  )
}

const storage = () => `### 4.2 Storage

SCP of every SOP class under \`${storageRoot}\` but ${[...notStorage].map(uid => uid.slice(storageRoot.length)).join(', ')}, also of those that are newer than this list, and of
those below that stand outside it. Private ones with \`dimse.privateSopClasses\`:

${storageClasses()}

In these transfer syntaxes:

${table(
  ['transfer syntax', 'UID'],
  [...transferSyntaxNames].map(([uid, name]) => [name, uid]),
)}

Storage level 2 (full): all attributes are kept, private ones too, byte for byte. An instance that comes again is the same instance; the same SOP Instance UID with
other content is kept beside it, and queries and retrievals give the first.

${storeStatuses()}

The words are codes of docs/errors.md; Error Comment (0000,0902) has the code and the reason. After 0xA700 it is worth sending again.

SCU for sub-operations of C-MOVE and C-GET (4.3), for reports (\`deliver\`, docs/delivery.md) and for files (\`raylog send\`): each object is proposed in the transfer syntax that it is
stored in.`

const query = () => `### 4.3 Query and retrieve

${table(
  ['SOP class', 'UID', 'role'],
  serviceClasses
    .filter(({ root }) => root !== null)
    .map(({ name, uid, root }) => [name, uid, root === 'STUDY' ? 'SCP, SCU' : 'SCP']),
)}

SCU where a retrieval is asked for (docs/peers.md), and of FIND where a study's images are counted at an archive (docs/studies.md): with unique keys, Accession Number or Patient ID; C-GET where the
peer takes it, C-MOVE to \`retrieve.aeTitle\` where not.

Transfer syntaxes: ${[...plainSyntaxes].map(uid => transferSyntaxNames.get(uid)).join(', ')}.

C-FIND matches by single value, list of UIDs, wild card (\`*\`, \`?\`), range of dates and times, and universally (PS3.4 C.2.2.2). Names match whatever their case. Keys of levels above
may be left out (relational queries), whether or not that was negotiated. Keys:

${queryLevels
  .map(
    level => `${level}:

${table(
  ['attribute', 'tag', 'VR', 'key'],
  indexedAttributes
    .filter(each => each.level === level)
    .map(({ keyword, tag, vr, matched }) => [
      keyword,
      `(${tag.slice(0, 4)},${tag.slice(4)})`,
      vr,
      tag === uniqueKeys[level] ? 'unique' : matched ? 'matched and returned' : 'returned',
    ]),
)}`,
  )
  .join('\n\n')}

Keys that are not in the list narrow nothing, are not returned, and are told by the status 0xFF01. Retrieve AE Title (0008,0054) is returned always.

C-MOVE and C-GET take unique keys alone, lists of UIDs too; that of the level must be there. C-GET needs the role SCP for the classes that are to come back, C-MOVE a destination that \`peers\`
names with its host. Each instance is proposed, and sent, in the transfer syntax in which it is stored. Where that is not accepted it is sent
in one of ${transcodedTo('1.2.840.10008.1.2.5')
  .map(uid => transferSyntaxNames.get(uid))
  .join(
    ', ',
  )}, if one of them is and Raylog decodes what is stored; what was lossy then says so in Lossy Image Compression (0028,2110). Otherwise
the sub-operation fails.

${queryStatuses()}`

const commitment = () => `### 4.4 Storage commitment

${table(
  ['SOP class', 'UID', 'role'],
  serviceClasses.filter(({ service }) => service === 'commitment').map(({ name, uid }) => [name, uid, 'SCP, SCU']),
)}

N-ACTION (type 1) is answered when the request is durable. The report (N-EVENT-REPORT, type 1 or 2) follows when each instance was found and its stored bytes had their digest: on the same
association while that lasts, or else on one of ours to the peer's address, with the role SCP proposed. A peer that cannot be reached is tried again for \`dimse.commitment.giveUpMs\`. Media
(Storage Media File-Set) are not supported. As SCU Raylog asks a PACS that was sent reports, where its destination says so (docs/delivery.md), and takes the answer on the same association or on one of
the PACS's own.

${commitmentStatuses()}`

const procedureSteps = () => `### 4.5 Modality Performed Procedure Step

${table(
  ['SOP class', 'UID', 'role'],
  serviceClasses.filter(({ service }) => service === 'procedure-step').map(({ name, uid }) => [name, uid, 'SCP']),
)}

N-CREATE and N-SET, from peers that may store. Of a step are kept its UID, study, status and the number of instances that it refers to, nothing else: when the last step of a study is COMPLETED or
DISCONTINUED, that number is what the study is to have (docs/studies.md).

${stepStatuses()}`

const verificationSection = () => `## 4. Network services

### 4.1 Verification

SCP of Verification (${verification}), on any presentation context.`

export const networkSection = (): string =>
  [model(), verificationSection(), storage(), query(), commitment(), procedureSteps(), requestorSection()].join('\n\n')
