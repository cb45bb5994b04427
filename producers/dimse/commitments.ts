/**
 * Storage commitments that were asked for: a document each, so that none is forgotten in a crash.
 *
 *   asked ──looked into, told──▶ reported
 *     │ not reached: later again      └─ (an asked one that nobody could be told of for days) ──▶ given-up
 */
import type { Logger } from 'pino'
import { status, writeEventReport } from '../../dicom/command.ts'
import { writeElements } from '../../dicom/data-set.ts'
import type { Clock } from '../../monitoring/clock.ts'
import type { DicomAttributes, DicomValue } from '../../schemas/dicom-json.ts'
import type { CommitmentDoc } from '../../schemas/documents.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import type { DocumentStore } from '../../storage/documents.ts'
import type { Directory } from './directory.ts'
import type { Association } from './services/service.ts'
import { commitmentClass, commitmentInstance, plainSyntaxes } from './sop-classes.ts'
import type { Checked, Verify } from './verify.ts'

/** Where a request came from: it is told there, if the association lasts. */
export interface AskedOn {
  association: Association
  context: number
  transferSyntax: string
}

export interface Commitments {
  /** Resolves when the request is durable. @throws what the store throws */
  accept(asked: CommitmentDoc, on: AskedOn): Promise<void>
  /** Resolves when nothing is under way any more. */
  close(): Promise<void>
}

export interface CommitmentsOptions {
  documents: Pick<DocumentStore, 'insert' | 'upsert' | 'find' | 'get'>
  verify: Verify
  directory: Directory
  /** Told as where the instances can be had. */
  aeTitle: string
  clock: Clock
  logger: Logger
  /** A peer that will end the association after it has asked has so long to do so; then it is told on it, ms. */
  holdMs: number
  /** For the answer to a report, ms. */
  answerMs: number
  /** Before the second attempt, doubled each time up to an hour, ms. */
  retryMs: number
  /** How long somebody is tried to be told, ms. */
  giveUpMs: number
}

const hourMs = 3_600_000
/** Requests that are looked into at once: each reads all that it names. */
const atOnce = 4

export function createCommitments(options: CommitmentsOptions): Commitments {
  const { documents, clock, logger, retryMs } = options
  const stop = new AbortController()
  const busy = new Map<string, Promise<void>>()

  /** Looks into one and tells. Never throws. */
  async function attend(asked: CommitmentDoc, on?: AskedOn): Promise<void> {
    try {
      const checked = await options.verify(asked.items, stop.signal)
      await tell(asked, checked, on, options, stop.signal)
      await documents.upsert('commitments', [{ ...asked, state: 'reported', attempts: asked.attempts + 1 }])
      logger.info({ peer: asked.peer, kept: checked.kept.length, failed: checked.failed.length }, 'commitment reported')
    } catch (thrown) {
      if (!stop.signal.aborted) await postpone(asked, thrown)
    }
  }

  async function postpone(asked: CommitmentDoc, thrown: unknown): Promise<void> {
    const { code, message: reason } = toRaylogError(thrown)
    const attempts = asked.attempts + 1
    const now = clock.now()
    const givenUp = now - asked.askedAt > options.giveUpMs
    logger.warn({ peer: asked.peer, code, reason, attempts, givenUp }, 'commitment not reported')
    const dueAt = now + Math.min(hourMs, retryMs * 2 ** Math.min(attempts - 1, 20))
    const next: CommitmentDoc = { ...asked, attempts, dueAt, state: givenUp ? 'given-up' : 'asked' }
    await documents.upsert('commitments', [next]).catch((failed: unknown) => {
      // It stays as it was, and is tried again by the next look.
      logger.warn({ code: toRaylogError(failed).code }, 'commitment not noted')
    })
  }

  function begin(asked: CommitmentDoc, on?: AskedOn): Promise<void> {
    const work = (busy.get(asked.id) ?? attend(asked, on)).finally(() => busy.delete(asked.id))
    busy.set(asked.id, work)
    return work
  }

  /** Those that are due: of an earlier life of this process, of another, or that could not be told. */
  async function look(): Promise<void> {
    const due: CommitmentDoc[] = []
    let cursor: string | undefined
    do {
      const page = await documents.find('commitments', {
        where: { state: 'asked', dueAt: { lt: clock.now() + 1 } },
        order: 'oldest',
        ...(cursor === undefined ? {} : { cursor }),
      })
      due.push(...page.items)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    for (let at = 0; at < due.length && !stop.signal.aborted; at += atOnce)
      await Promise.all(due.slice(at, at + atOnce).map(asked => begin(asked)))
  }

  async function watch(): Promise<void> {
    while (!stop.signal.aborted) {
      await look().catch((thrown: unknown) => logger.warn({ code: toRaylogError(thrown).code }, 'commitments not read'))
      await clock.sleep(retryMs, stop.signal).catch(() => undefined) // told to stop
    }
  }
  const watching = watch()

  return {
    async accept(request, on) {
      // Not before this is another look taken: this process is at it.
      const asked = { ...request, dueAt: request.askedAt + retryMs }
      const isNew = await documents.insert('commitments', asked)
      // Asked again, it is told again.
      if (!isNew) await documents.upsert('commitments', [asked])
      void begin(asked, on)
    },
    async close() {
      stop.abort(new RaylogError('stopping', 'stopping'))
      await Promise.all([watching, ...busy.values()])
    },
  }
}

/** @throws RaylogError, AssociationEnded where nobody could be told */
async function tell(
  asked: CommitmentDoc,
  checked: Checked,
  on: AskedOn | undefined,
  options: CommitmentsOptions,
  signal: AbortSignal,
): Promise<void> {
  const { directory, aeTitle, clock } = options
  const type = checked.failed.length > 0 ? 2 : 1
  const command = (messageId: number) => writeEventReport(messageId, commitmentClass, commitmentInstance, type)
  const report = (syntax: string) => writeElements(reportOf(asked, checked, aeTitle), syntax)
  if (on && (await lasts(on.association, options.holdMs, clock, signal))) {
    const { association, context, transferSyntax } = on
    const answer = await association
      .request(context, command, report(transferSyntax), options.answerMs)
      .catch(() => undefined) // it has ended meanwhile
    if (answer?.status === status.success) return
  }
  const call = directory(asked.peer)?.call
  if (!call)
    throw new RaylogError('delivery-failed', 'it ended the association, and its address is not in the settings')
  const peer = await call([{ abstractSyntax: commitmentClass, transferSyntaxes: [...plainSyntaxes] }], {
    signal,
    roles: new Map([[commitmentClass, { scu: false, scp: true }]]),
  })
  try {
    const [context] = peer.contexts
    if (!context) throw new RaylogError('delivery-failed', 'it takes no reports of storage commitment')
    const answer = await peer.request(context, command, report(context.transferSyntax))
    if (answer.status !== status.success)
      throw new RaylogError('delivery-failed', `it answered with 0x${answer.status.toString(16)}`)
  } finally {
    await peer.release()
  }
}

/** Whether the association is still there after a while. */
async function lasts(association: Association, holdMs: number, clock: Clock, stop: AbortSignal): Promise<boolean> {
  const either = AbortSignal.any([association.signal, stop])
  await clock.sleep(holdMs, either).catch(() => undefined) // one of them is over
  return !either.aborted
}

/** Event information (PS3.4 table J.3-2). */
function reportOf({ transaction }: CommitmentDoc, { kept, failed }: Checked, aeTitle: string): DicomAttributes {
  const reference = (item: CommitmentDoc['items'][number]): DicomAttributes => ({
    '00081150': { vr: 'UI', Value: [item.sopClass] },
    '00081155': { vr: 'UI', Value: [item.sopInstance] },
  })
  const failures: DicomValue[] = failed.map(item => ({
    ...reference(item),
    '00081197': { vr: 'US', Value: [item.reason] },
  }))
  return {
    '00080054': { vr: 'AE', Value: [aeTitle] },
    '00081195': { vr: 'UI', Value: [transaction] },
    ...(failures.length > 0 && { '00081198': { vr: 'SQ', Value: failures } }),
    ...(kept.length > 0 && { '00081199': { vr: 'SQ', Value: kept.map(reference) } }),
  }
}
