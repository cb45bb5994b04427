/**
 * One term of a retrieval: finds out which studies are meant, and pulls of each what is not here yet. Each image is on the log
 * before the next is asked for again, so whoever goes on after a crash asks for the rest.
 */
import type { Platform, Ports } from '../../kafka/ports.ts'
import { RaylogError, toRaylogError } from '../../schemas/errors.ts'
import {
  msUntilOpen,
  type RetrievalDoc,
  type RetrievalSecret,
  type RetrievalState,
  type RetrievedStudy,
} from '../../schemas/retrieval.ts'
import { Ended, type JobRun, patience, runJob } from '../../storage/job-run.ts'
import type { Received } from '../intake.ts'
import { createRate } from '../rate.ts'
import type { FoundInstance, Receive, Source } from './source.ts'
import type { Progress, Term } from './term.ts'

export interface RunContext extends Pick<Platform, 'clock' | 'logger'> {
  deps: Pick<Ports, 'documents' | 'secrets'>
  random: () => number
  sourceOf(retrieval: RetrievalDoc): Source
  /** Site that the images of the retrieval belong to. */
  siteOf(retrieval: RetrievalDoc): string
  keep(retrieval: RetrievalDoc, ...image: Parameters<Receive>): Promise<Received>
  /** Told of each study that came. */
  came(retrieval: RetrievalDoc, study: string, images: number): void
  settings: { beatMs: number; retries: number; atOnce: number; longestWaitMs: number }
}

const firstBackoffMs = 500
/** UIDs looked up in the documents at once. */
const lookedUp = 500

/** Resolves when the retrieval is at its end, or the term is: paused, cancelled, let go of at `stopping`, or lost. */
export async function runTerm(context: RunContext, retrieval: RetrievalDoc, term: Term, stopping: AbortSignal) {
  const { clock, logger, deps, settings } = context
  const progress: Required<Pick<Progress, 'studies' | 'unknown' | 'received' | 'state'>> = {
    studies: term.doc.studies?.map(study => ({ ...study })) ?? null,
    unknown: term.doc.unknown,
    received: term.doc.received,
    state: 'running',
  }
  const run: JobRun = {
    ...{ clock, logger, beatMs: settings.beatMs, name: 'retrieval', id: retrieval.id, term },
    wanted: async () => (await deps.documents.get('retrievals', retrieval.id))?.wanted,
    save: last => term.save({ ...structuredClone(progress), ...last }),
    failed: ({ code }) => logger.error({ retrieval: retrieval.id, code }, 'a retrieval failed'),
    work: ({ signal }) => work(context, retrieval, { term, progress, signal }),
  }
  await runJob(run, stopping)
}

interface Work {
  term: Term
  progress: { studies: RetrievedStudy[] | null; unknown: number; received: number; state: RetrievalState }
  signal: AbortSignal
}

async function work(context: RunContext, retrieval: RetrievalDoc, { term, progress, signal }: Work): Promise<void> {
  const { clock, random, settings } = context
  const { retries, longestWaitMs: longestMs } = settings
  const patiently = patience({ clock, random, retries, firstMs: firstBackoffMs, longestMs }, signal)
  const source = context.sourceOf(retrieval)
  const rate = createRate({ maxInstancesPerSecond: retrieval.ratePerSecond, maxBytesPerSecond: null }, clock)

  /** Until its hours have come; looked at often, since somebody may set the clock. */
  async function open(): Promise<void> {
    for (let ms = msUntilOpen(retrieval.hours, clock.now()); ms > 0; ms = msUntilOpen(retrieval.hours, clock.now())) {
      progress.state = 'waiting'
      await clock.sleep(Math.min(ms, settings.longestWaitMs), signal)
    }
    progress.state = 'running'
  }

  await open()
  if (!progress.studies) {
    const { studies, unknown } = await patiently(() => resolve(context, retrieval, source, signal))
    Object.assign(progress, { studies, unknown })
  }
  for (const study of progress.studies ?? []) {
    if (study.state !== 'waiting') continue
    let came = 0
    const got = new Set<string>()
    const receive: Receive = async (file, expect) => {
      signal.throwIfAborted()
      await rate.turn(signal)
      // The process may have stood still for long enough that another has it now.
      if (!term.held) throw new Ended('lost')
      await context.keep(retrieval, file, expect)
      came++
      if (expect) got.add(expect.sopInstance)
      study.here++
      progress.received++
    }
    try {
      await patiently(() => pull(context, retrieval, source, { study, got, receive, open, signal }))
      study.state = 'done'
    } catch (thrown) {
      signal.throwIfAborted()
      const { code } = toRaylogError(thrown)
      if (thrown instanceof Ended || code === 'config-invalid') throw thrown
      Object.assign(study, { state: 'failed', code })
    }
    if (came > 0) context.came(retrieval, study.uid, came)
  }
}

/** The studies that are meant, each once. */
async function resolve({ deps }: RunContext, retrieval: RetrievalDoc, source: Source, signal: AbortSignal) {
  const secret: RetrievalSecret = JSON.parse(deps.secrets.open(retrieval.sealed, retrieval.id))
  const found = new Set(retrieval.studies)
  let unknown = 0
  for (const accessionNumber of secret.accessionNumbers) {
    const studies = await source.byAccession(accessionNumber, signal)
    if (studies.length === 0) unknown++
    for (const uid of studies) found.add(uid)
  }
  if (secret.priors) for (const uid of await source.priors(secret.priors, signal)) found.add(uid)
  const studies = [...found].map(
    (uid): RetrievedStudy => ({ uid, state: 'waiting', expected: null, here: 0, code: null }),
  )
  return { studies, unknown }
}

interface Pull {
  study: RetrievedStudy
  /** SOP instances that came in this term: on the log, and in the documents a moment later. */
  got: ReadonlySet<string>
  receive: Receive
  open(): Promise<void>
  signal: AbortSignal
}

/** What is not here yet, some at a time. @throws RaylogError delivery-failed where some did not come */
async function pull(
  context: RunContext,
  retrieval: RetrievalDoc,
  source: Source,
  { study, got, receive, open, signal }: Pull,
) {
  // Peers name a series twice where its images disagree about the patient.
  const told = await source.instances(study.uid, signal)
  const found = [...new Map(told.map(one => [one.sopInstance, one])).values()]
  if (found.length === 0) throw new RaylogError('not-found', 'the peer has no such study')
  const here = new Set([...(await kept(context, retrieval, found)), ...got])
  Object.assign(study, { expected: found.length, here: here.size })
  const missing = found.filter(({ sopInstance }) => !here.has(sopInstance))
  for (let at = 0; at < missing.length; at += context.settings.atOnce) {
    await open()
    await source.fetch(study.uid, missing.slice(at, at + context.settings.atOnce), receive, signal)
  }
  if (study.here < found.length && !(await arrive(context, retrieval, study, missing, signal)))
    throw new RaylogError('delivery-failed', `${found.length - study.here} images did not come`)
}

/** What was sent by C-MOVE came by the DICOM port, and is in the documents a moment later. */
async function arrive(
  context: RunContext,
  retrieval: RetrievalDoc,
  study: RetrievedStudy,
  missing: readonly FoundInstance[],
  signal: AbortSignal,
): Promise<boolean> {
  const before = study.here
  for (let tries = 0; tries < 20; tries++) {
    study.here = before + (await kept(context, retrieval, missing)).size
    if (study.here >= (study.expected ?? 0)) return true
    await context.clock.sleep(Math.min(firstBackoffMs, context.settings.longestWaitMs), signal)
  }
  return false
}

/** Those that are kept already. */
async function kept({ deps, siteOf }: RunContext, retrieval: RetrievalDoc, of: readonly FoundInstance[]) {
  const here = new Set<string>()
  for (let at = 0; at < of.length; at += lookedUp) {
    const uids = of.slice(at, at + lookedUp).map(({ sopInstance }) => sopInstance)
    const where = { site: siteOf(retrieval), 'dicom.sopInstance': { in: uids } }
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await deps.documents.find('instances', { where, limit: 1_000, ...(cursor ? { cursor } : {}) })
      for (const { dicom } of page.items) if (dicom) here.add(dicom.sopInstance)
      cursor = page.next
    }
  }
  return here
}
