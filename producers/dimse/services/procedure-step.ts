/**
 * Modality Performed Procedure Step (PS3.4 F.7): a modality says that it began (N-CREATE) and what it made (N-SET). What it made
 * is how many images its study is to have: told as a request, as if somebody had said it. Nothing of the patient is kept.
 */
import type { Logger } from 'pino'
import { commandField, status } from '../../../dicom/command.ts'
import { type Elements, readElements } from '../../../dicom/data-set.ts'
import { isUid } from '../../../dicom/uid.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import type { ProcedureStepDoc } from '../../../schemas/documents.ts'
import { RaylogError, toRaylogError } from '../../../schemas/errors.ts'
import { ids } from '../../../schemas/ids.ts'
import type { StudyRequest } from '../../../schemas/topics.ts'
import type { DocumentStore } from '../../../storage/documents.ts'
import { allOf } from '../../../storage/documents.ts'
import { readAll } from '../identifier.ts'
import { procedureStepClass } from '../sop-classes.ts'
import { type Answer, AssociationEnded, type Message, type Service } from './service.ts'

export interface ProcedureStepOptions {
  documents: Pick<DocumentStore, 'get' | 'insert' | 'upsert' | 'find'>
  clock: Clock
  logger: Logger
  /** Of studies whose sender has none of its own. */
  site: string
  /** Durable when it resolves. */
  tell(request: StudyRequest): Promise<void>
  /** Longest data set, bytes. */
  maxRequestBytes: number
}

/** Statuses of N-CREATE and N-SET (PS3.7 10.1.3.1.9, 10.1.5.1.6). */
export const stepStatus = { failure: 0x0110, duplicate: 0x0111, noSuchInstance: 0x0112, invalidValue: 0x0106 } as const
const tags = {
  status: '00400252',
  scheduled: '00400270',
  study: '0020000D',
  series: '00400340',
  images: '00081140',
  others: '00400220',
  sopInstance: '00081155',
}
const inProgress = 'IN PROGRESS'
const ended = new Set(['COMPLETED', 'DISCONTINUED'])

export function procedureStepServices(options: ProcedureStepOptions): Service[] {
  const { documents, clock, logger } = options

  async function create(uid: string, set: Elements, { association }: Message): Promise<Answer> {
    const [first] = set.items(tags.scheduled)
    const study = first?.text(tags.study, 'UI')?.trim() ?? ''
    if (!isUid(uid) || !isUid(study) || set.text(tags.status, 'CS')?.trim() !== inProgress)
      return { code: stepStatus.invalidValue, comment: 'no UID, no study, or another status than IN PROGRESS' }
    const site = association.peer?.site ?? options.site
    const id = ids.procedureStep(association.calling, uid)
    const step = { id, study: ids.study(site, study), status: inProgress, images: 0, at: clock.now() }
    return { code: (await documents.insert('procedureSteps', step)) ? status.success : stepStatus.duplicate }
  }

  async function set(uid: string, elements: Elements, { association }: Message): Promise<Answer> {
    const known = await documents.get('procedureSteps', ids.procedureStep(association.calling, uid))
    if (!known) return { code: stepStatus.noSuchInstance }
    if (known.status !== inProgress) return { code: stepStatus.failure, comment: 'the step is at its end' }
    const said = elements.text(tags.status, 'CS')?.trim() ?? known.status
    if (said !== inProgress && !ended.has(said))
      return { code: stepStatus.invalidValue, comment: 'no status of a step' }
    const images = elements.tags.includes(tags.series) ? imagesOf(elements) : known.images
    const step = { ...known, status: said, images, at: clock.now() }
    // Before it is kept: a modality that hears nothing says it again.
    if (ended.has(said)) await tell(step, association.calling)
    await documents.upsert('procedureSteps', [step])
    return { code: status.success }
  }

  /** A study may be made in several steps: it has all of their images, once the last is at its end. */
  async function tell(step: ProcedureStepDoc, actor: string): Promise<void> {
    const others = (await allOf(documents, 'procedureSteps', { study: step.study })).filter(({ id }) => id !== step.id)
    const images = others.reduce((sum, other) => sum + other.images, step.images)
    if (images === 0 || others.some(other => other.status === inProgress)) return
    const id = ids.request(step.study, 'expect', actor, images)
    const at = clock.now()
    const said = { what: 'expect', images, source: 'modality', priority: null, revision: null } as const
    await options.tell({ id, study: step.study, ...said, actor, at })
  }

  const serving = (work: typeof create) => async (message: Message) => {
    const { association, context, command, data } = message
    try {
      const bytes = await readAll(data, options.maxRequestBytes)
      return await work(command.sopInstance, readElements(bytes, context.transferSyntax), message)
    } catch (thrown) {
      if (thrown instanceof AssociationEnded) throw thrown
      const { code, message: reason } = toRaylogError(thrown)
      logger.warn({ calling: association.calling, code, reason }, 'procedure step refused')
      const unreadable = thrown instanceof RaylogError && code === 'malformed-dicom'
      return { code: unreadable ? stepStatus.invalidValue : stepStatus.failure, comment: `${code}: ${reason}` }
    }
  }
  const takes = (uid: string) => uid === procedureStepClass
  return [
    { field: commandField.create, takes, serve: serving(create) },
    { field: commandField.set, takes, serve: serving(set) },
  ]
}

/** Instances of all series, each once: images, and what is none. */
function imagesOf(set: Elements): number {
  const uids = set
    .items(tags.series)
    .flatMap(series =>
      [tags.images, tags.others].flatMap(tag =>
        series.items(tag).map(item => item.text(tags.sopInstance, 'UI')?.trim() ?? ''),
      ),
    )
  return new Set(uids.filter(isUid)).size
}
