/**
 * C-STORE to a PACS (PS3.4 B), one association a report. Where it is asked for, storage commitment (PS3.4 J) goes over the same
 * association; what the PACS answers comes to our DICOM port, since it may take hours.
 */
import { z } from 'zod'
import { status, writeAction, writeStoreRequest } from '../../../dicom/command.ts'
import { explicitLittle, implicitLittle, writeElements } from '../../../dicom/data-set.ts'
import { outcomeOf } from '../../../dicom/outcome.ts'
import { type FileMeta, readFileMeta } from '../../../dicom/part10.ts'
import type { Requestor } from '../../../dicom/requestor.ts'
import { talk } from '../../../dicom/talk.ts'
import { dicomPort } from '../../../dicom/tls.ts'
import type { Network } from '../../../kafka/ports.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { uids } from '../../../schemas/ids.ts'
import { aeTitle } from '../../../schemas/peers.ts'
import type { CommitmentAskedDoc } from '../../../schemas/report-delivery.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import { type Offered, type Outgoing, type Receipt, type Sender, Undelivered } from '../sender.ts'

export const dicomSettings = {
  kind: z.literal('dicom'),
  peer: z.string().describe('name of a peer in `peers`, which has its host, port, AE title and TLS'),
  aeTitle: aeTitle.default('RAYLOG').describe('what we call ourselves: that of dimse, where commitments come to'),
  commitment: z.boolean().default(false).describe('ask for storage commitment; needs the stage dimse, and the peer'),
  associateMs: z.int().min(100).max(600_000).default(30_000).describe('for a connection and an association, ms'),
  answerMs: z.int().min(100).max(3_600_000).default(120_000).describe('for the answer to a report, ms'),
}
const settings = z.strictObject(dicomSettings)

export interface DicomOptions {
  settings: z.infer<typeof settings>
  network: Network
  documents: Pick<DocumentStore, 'insert' | 'get' | 'upsert'>
  clock: Clock
}

/** Storage Commitment Push Model SOP Class, and its well-known instance (PS3.4 J.3). */
const commitmentClass = '1.2.840.10008.1.20.1'
const commitmentInstance = '1.2.840.10008.1.20.1.1'
const requestAction = 1

const hex = (code: number) => `0x${code.toString(16).toUpperCase().padStart(4, '0')}`

/** @throws RaylogError config-invalid where the peer cannot be called */
export function dicomSender({ settings, network, documents, clock }: DicomOptions): Sender {
  const { peer: name, aeTitle: calling, associateMs, answerMs } = settings
  const peer = network.peers.find(one => one.name === name)
  if (!peer || peer.aeTitle === null || peer.host === null)
    throw new RaylogError('config-invalid', `deliver: there is no peer ${name} with aeTitle and host`)
  if (peer.tls && !network.dicomTls)
    throw new RaylogError('config-invalid', `deliver: peer ${name} has tls: give dicomTls our certificate`)
  const { aeTitle: called, host } = peer
  const at = { ...peer, host, port: peer.port ?? dicomPort }

  /** C-STORE. */
  async function store(requestor: Requestor, { sopClass, sopInstance }: FileMeta, dataSet: Buffer): Promise<Receipt> {
    const context = requestor.contexts.find(({ abstractSyntax }) => abstractSyntax === sopClass)
    if (!context)
      throw new Undelivered(`${name} does not take SOP class ${sopClass}`, { code: 'peer-refused', final: true })
    const command = (id: number) => writeStoreRequest(id, sopClass, sopInstance)
    const { status: code } = await requestor.request(context, command, dataSet)
    const outcome = outcomeOf(code)
    if (outcome === 'done' || outcome === 'warning') return { text: `C-STORE ${hex(code)}` }
    const again = outcome === 'later'
    throw new Undelivered(`${name}: C-STORE ended with ${hex(code)}`, {
      code: again ? 'delivery-failed' : 'peer-refused',
      final: !again,
    })
  }

  /** The PACS has the report already, so nothing that goes wrong here makes it unsent: it is said in the receipt. */
  async function commit(requestor: Requestor, meta: FileMeta, { delivery }: Outgoing): Promise<Partial<Receipt>> {
    const context = requestor.contexts.find(({ abstractSyntax }) => abstractSyntax === commitmentClass)
    if (!context) return { text: 'takes no storage commitment' }
    // Of this attempt: a PACS may take a transaction that it has answered for a repetition.
    const transaction = uids.transaction(delivery.id, delivery.version)
    const items = [{ sopClass: meta.sopClass, sopInstance: meta.sopInstance }]
    const asked: CommitmentAskedDoc = {
      ...{ id: transaction, version: 1, delivery: delivery.id, peer: called, items },
      ...{ state: 'asked', failures: [], askedAt: clock.now(), answeredAt: null },
    }
    // First, since the answer may come before the response.
    await documents.insert('commitmentsAsked', asked)
    const data = writeElements(
      {
        '00081195': { vr: 'UI', Value: [transaction] },
        '00081199': {
          vr: 'SQ',
          Value: items.map(item => ({
            '00081150': { vr: 'UI', Value: [item.sopClass] },
            '00081155': { vr: 'UI', Value: [item.sopInstance] },
          })),
        },
      },
      context.transferSyntax,
    )
    const command = (id: number) => writeAction(id, commitmentClass, commitmentInstance, requestAction)
    // Where no answer comes, the PACS may still have heard it, and tell what it keeps.
    const answer = await requestor.request(context, command, data).catch(() => undefined)
    if (!answer) return { text: 'commitment asked, not answered', commitment: transaction }
    if (answer.status === status.success) return { text: 'commitment asked', commitment: transaction }
    return { text: `commitment refused with ${hex(answer.status)}` }
  }

  return {
    takes: ({ isDicom }: Offered) => isDicom(),
    newestOnly: false,
    async send(report, signal) {
      const meta = readFileMeta(report.bytes)
      if (!meta?.sopClass || !meta.sopInstance || !meta.transferSyntax)
        throw new Undelivered('the report is not a DICOM file', { code: 'bad-record', final: true })
      const contexts = [
        { abstractSyntax: meta.sopClass, transferSyntaxes: [meta.transferSyntax] },
        ...(settings.commitment
          ? [{ abstractSyntax: commitmentClass, transferSyntaxes: [explicitLittle, implicitLittle] }]
          : []),
      ]
      let begun = false
      try {
        return await talk(
          at,
          network.dicomTls,
          { called, calling, contexts, associateMs, answerMs, signal },
          async requestor => {
            begun = true
            const receipt = await store(requestor, meta, report.bytes.subarray(meta.dataAt))
            if (!settings.commitment) return receipt
            const committed = await commit(requestor, meta, report).catch(() => ({ text: 'commitment not asked' }))
            return { ...receipt, ...committed, text: `${receipt.text}, ${committed.text}` }
          },
        )
      } catch (thrown) {
        if (thrown instanceof Undelivered || signal.aborted) throw thrown
        // No connection, no association, or it broke off: whether it has the report is not known.
        throw new Undelivered(thrown instanceof Error ? thrown.message : `${name} does not answer`, {
          code: 'peer-unavailable',
          ...{ answered: false, mayHaveArrived: begun, cause: thrown },
        })
      }
    },
    close: async () => undefined,
  }
}
