/** Sections 4.6 to 4.8 of the conformance statement: what Raylog does where it calls others, its network, its settings. */
import { z } from 'zod'
import { destination } from '../../consumers/deliver/config.ts'
import { type Outcome, outcomeOf } from '../../dicom/outcome.ts'
import { maxContexts } from '../../dicom/requestor.ts'
import { dicomPort } from '../../dicom/tls.ts'
import { transcodedTo } from '../../models/imaging/dicom/syntaxes.ts'
import { expectImages } from '../../processors/expect-images/stage.ts'
import { maxCalls } from '../../producers/dimse/services/move.ts'
import { countedAs } from '../../producers/dimse/services/retrieve.ts'
import { commitmentClass, plainSyntaxes } from '../../producers/dimse/sop-classes.ts'
import { dimse } from '../../producers/dimse/stage.ts'
import { transferSyntaxNames } from '../../producers/dimse/syntaxes.ts'
import { contextsFor, model, videoClasses } from '../../producers/retrieve/dicom.ts'
import { retrieve } from '../../producers/retrieve/stage.ts'
import { waitMs } from '../../producers/store-scu.ts'
import { peer } from '../../schemas/peers.ts'
import { hex } from './statuses.ts'
import { table } from './table.ts'

const code = (text: string) => `\`${text}\``
const named = (uids: Iterable<string>) => [...uids].map(uid => transferSyntaxNames.get(uid) ?? uid).join(', ')

const waits = z.object({ associateMs: z.number(), answerMs: z.number() })
const calling = z.object({ aeTitle: z.string() })
const inDimse = calling
  .extend({ calls: waits, commitment: z.object({ retryMs: z.number(), giveUpMs: z.number() }) })
  .parse(dimse.config.parse({}))
const inRetrieve = calling
  .extend({ ...waits.shape, jobs: z.number(), atOnce: z.number(), retries: z.number() })
  .parse(retrieve.config.parse({}))
const inExpect = calling.extend({ ...waits.shape, atOnce: z.number() }).parse(expectImages.config.parse({}))
const inDeliver = destination.parse({ kind: 'dicom', name: 'pacs', peer: 'pacs' })
if (inDeliver.kind !== 'dicom') throw new Error('the settings of a PACS are of another kind')

const timers = (of: string, { associateMs, answerMs }: z.infer<typeof waits>) =>
  `association ${associateMs} (${code(`${of}.associateMs`)}), answer ${answerMs} (${code(`${of}.answerMs`)})`

/** What an activity does about a peer; the words are beside the numbers that they are about. */
const initiation = () =>
  table(
    ['activity', 'calls', 'associations', 'our AE title', 'timers, ms', 'again'],
    [
      [
        'C-MOVE, sub-operations',
        'the Move Destination',
        `one for a request at a time; the next where more than the ${maxContexts} contexts of one are needed`,
        `${inDimse.aeTitle} (${code('dimse.aeTitle')})`,
        timers('dimse.calls', inDimse.calls),
        `where it breaks off, ${maxCalls} times in a request; then what is left has failed`,
      ],
      [
        'reports of commitment',
        'who asked, where its own association has ended',
        'one a report',
        `${inDimse.aeTitle} (${code('dimse.aeTitle')})`,
        timers('dimse.calls', inDimse.calls),
        `after ${inDimse.commitment.retryMs} ms (${code('dimse.commitment.retryMs')}), doubled up to an hour, for ${inDimse.commitment.giveUpMs} ms (${code('dimse.commitment.giveUpMs')})`,
      ],
      [
        code('deliver'),
        'the peer of the destination',
        `one a report, for the commitment too; ${inDeliver.concurrency} at once (${code('concurrency')})`,
        `${inDeliver.aeTitle} (${code('aeTitle')})`,
        timers('deliver.destinations[]', inDeliver),
        `after ${inDeliver.backoffMs} ms (${code('backoffMs')}), doubled up to ${inDeliver.maxBackoffMs}, for ${inDeliver.giveUpMs} ms (${code('giveUpMs')}); after ${inDeliver.restAfter} without an answer the peer is left alone for ${inDeliver.restMs} ms (${code('restMs')}), doubled`,
      ],
      [
        code('retrieve'),
        'the peer that is asked',
        `one a query, and one for each ${inRetrieve.atOnce} images of a series (${code('retrieve.atOnce')}); ${inRetrieve.jobs} retrievals at once (${code('retrieve.jobs')})`,
        `${inRetrieve.aeTitle} (${code('retrieve.aeTitle')})`,
        timers('retrieve', inRetrieve),
        `${inRetrieve.retries} times (${code('retrieve.retries')}), where it may pass`,
      ],
      [
        code('expect-images'),
        'the archive that `peers[].countsFrom` names',
        `one a question, ${inExpect.atOnce} at once (${code('expect-images.atOnce')})`,
        `${inExpect.aeTitle} (${code('expect-images.aeTitle')})`,
        timers('expect-images', inExpect),
        'when more of the study came, and it is quiet again',
      ],
      [
        code('raylog send'),
        'the peer or address of the command',
        'one a file',
        'RAYLOG-SEND',
        `association ${waitMs.associateMs}, answer ${waitMs.answerMs}`,
        'with growing pauses while the connection fails or there is no room',
      ],
    ],
  )

const ct = '1.2.840.10008.5.1.4.1.1.2'
const video = [...videoClasses][0] ?? ct
const plain = named(plainSyntaxes)

function contexts(): string {
  const [uncompressed, ...alone] = contextsFor(ct)
  const ofVideo = contextsFor(video).slice(1 + alone.length)
  const [find, move, get] = [model.find, model.move, model.get]
  const implicit = named(['1.2.840.10008.1.2'])
  return table(
    ['activity', 'abstract syntax', 'transfer syntaxes of one context', 'role'],
    [
      [
        'C-MOVE, sub-operations',
        'each class of the instances',
        'the one that they are stored in, a context for each',
        'SCU',
      ],
      ['', 'each class that can be given otherwise', named(transcodedTo('1.2.840.10008.1.2.5')), 'SCU'],
      ['reports of commitment', commitmentClass, plain, 'SCP'],
      [code('deliver'), 'the class of the report', 'the one that it is written in', 'SCU'],
      ['', `${commitmentClass}, with ${code('commitment')}`, plain, 'SCU'],
      [code('retrieve'), `${find}; ${move}; ${get}`, implicit, 'SCU'],
      ['', 'with C-GET, each class of the images', named(uncompressed?.transferSyntaxes ?? []), 'SCP'],
      ['', '', `one context each: ${named(alone.flatMap(each => each.transferSyntaxes))}`, 'SCP'],
      [
        '',
        `of ${[...videoClasses].join(', ')} also`,
        `one context each: ${named(ofVideo.flatMap(each => each.transferSyntaxes))}`,
        'SCP',
      ],
      [code('expect-images'), find, implicit, 'SCU'],
      [code('raylog send'), 'the class of the file', 'the one that it is in', 'SCU'],
    ],
  )
}

/** One of each kind; what is done about them is asked of the code. */
const samples = [0x0000, 0xb000, 0xb006, 0xb007, 0xa700, 0xa701, 0xa801, 0xa900, 0xc000, 0x0110, 0x0122, 0x0124]

const ofReport: Record<Outcome, string> = {
  done: 'sent',
  warning: 'sent',
  later: 'sent again',
  refused: 'refused for good',
}
const ofQuery: Record<Outcome, string> = {
  done: 'complete',
  warning: 'what is missing is asked for again',
  later: 'asked again',
  refused: 'the retrieval fails',
}

const responses = () =>
  table(
    ['status', 'C-MOVE counts it as', '`deliver`, `raylog send`', '`retrieve`, of C-GET and C-MOVE'],
    samples.map(status => {
      const outcome = outcomeOf(status)
      return [hex(status), countedAs(status), ofReport[outcome], ofQuery[outcome]]
    }),
  )

interface Described {
  description?: string
  default?: unknown
  properties?: Record<string, Described>
}

/** Settings by their names, as the schemas have them. */
function settingsOf(schema: z.ZodType, above: string): [string, string, string][] {
  const walk = (described: Described, name: string): [string, string, string][] => {
    if (described.properties !== undefined)
      return Object.entries(described.properties).flatMap(([key, each]) => walk(each, `${name}.${key}`))
    const initial = described.default === undefined ? '' : JSON.stringify(described.default)
    return [[code(name), initial, described.description ?? '']]
  }
  return walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Described, above)
}

export const requestorSection = (): string => `### 4.6 Associations that Raylog opens

For each activity (2.), to peers with a host, at port ${dicomPort} where no other is given:

${initiation()}

Proposed presentation contexts:

${contexts()}

One operation at a time is under way on an association; it is released when the work is done, and the connection is closed where an answer is late. No extended negotiation, no user identity and no
asynchronous operations are proposed. Where the peer takes no context of a class, the sub-operation fails, and the report or file is refused for good; where it takes no C-GET, C-MOVE is asked for.

What is done on the status of a response; 0xA7xx, 0xBxxx and all others are taken as those that stand here:

${responses()}

A query (C-FIND) that does not end with 0x0000 fails: ${code('retrieve')} asks again after 0xA7xx, ${code('expect-images')} does without the number. Where a commitment (N-ACTION) is refused or not
answered the report counts as sent, and the delivery says so.

### 4.7 Network interfaces

TCP/IP, over the interfaces of the host, IPv4 and IPv6; names of hosts are looked up by the system. With TLS as section 7 says, per port and per peer.

### 4.8 Configuration

AE titles are mapped to addresses by ${code('peers')}, in raylog.yaml (docs/peers.md):

${table(['setting', 'default', 'what'], settingsOf(peer, 'peers[]'))}

Of the application entity:

${table(['setting', 'default', 'what'], [...settingsOf(dimse.config, 'dimse'), ...settingsOf(retrieve.config, 'retrieve'), ...settingsOf(expectImages.config, 'expect-images')])}`
