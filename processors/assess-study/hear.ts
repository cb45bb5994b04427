/** What the log says of a study, kept as its parts and told to it. What came of one study together is told together. */
import type { Position } from '../../kafka/log.ts'
import type { Ports } from '../../kafka/ports.ts'
import type { Handed, Read } from '../../kafka/stage.ts'
import type { Clock } from '../../monitoring/clock.ts'
import { allToTheirEnd } from '../../schemas/errors.ts'
import { isOwnReport } from '../../schemas/own-report.ts'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'
import type { Assessor } from './assessor.ts'
import { type State, withAssessment, withImage, withRequest } from './completion.ts'
import { answerOf, imageOf, refusalOf, verdictOf } from './parts.ts'
import type { Config } from './settings.ts'

/** Images and answers: many of one study, and what each says hangs on no other. */
export const parts = [topics.instances, topics.predictions] as const
const others = [topics.parked, topics.feedback, topics.requests, topics.studies] as const
export const heard = [...parts, ...others] as const

type Heard = Pick<Handed<(typeof heard)[number], never>, 'read'> & { context: { at: Position } }
interface Part {
  read: Read<(typeof parts)[number]>
  context: { at: Position }
}

type Change = (state: State) => State
/** What a record says of its study; where from is kept, for it says up to where the stage must have read. */
interface Told {
  at: Position
  change: Change
}

export interface HearOptions {
  documents: Ports['documents']
  models: Ports['models']
  clock: Clock
  settings: Config
  assessor: Assessor
}

const unchanged: Change = state => state

const isPart = (one: Heard): one is Part => parts.some(({ name }) => name === one.read.topic)

/** @returns the handlers of the stage */
export function listenTo({ documents, models, clock, settings, assessor }: HearOptions) {
  /** Tells a study what came of it, in its order. */
  async function tell(study: string, these: readonly Told[], read?: State): Promise<void> {
    const all = (known: State) =>
      these.reduce((state, { at, change }) => {
        const next = change(state)
        if (next.partitions[at.topic] === at.partition) return next
        return { ...next, partitions: { ...next.partitions, [at.topic]: at.partition } }
      }, known)
    await assessor.consider(await assessor.keep(study, all, read))
  }
  /** An answer may come before its image. Then the image finds it. */
  async function tellIfKnown(study: string, these: readonly Told[]): Promise<void> {
    const read = await documents.get('studyStates', study)
    if (read) await tell(study, these, read)
  }

  async function keepImage(instance: Instance): Promise<Change | undefined> {
    if (isOwnReport(instance)) return undefined
    const routes = models.routes(instance).filter(route => route.accepted)
    const names = routes.map(({ model }) => model.name)
    await documents.insert('studyImages', imageOf(instance, names, clock.now()))
    return state => withImage(state, instance, clock.now(), settings)
  }

  async function keepAnswer(prediction: Prediction): Promise<Change | undefined> {
    // What a shadow or a replay says is for those who judge the model.
    if (prediction.role !== 'production' && prediction.role !== 'canary') return undefined
    await documents.insert('studyAnswers', answerOf(prediction))
    return unchanged
  }

  /** Images and answers of one study, in their order: it is looked at once for all of them. */
  async function takeParts(these: readonly Part[]): Promise<void> {
    const kept = these.map(async ({ read, context: { at } }) => {
      const isImage = read.topic === 'imaging.instances.v1'
      const change = await (isImage ? keepImage(read.event) : keepAnswer(read.event))
      return change && { at, change, isImage, study: read.event.study }
    })
    await allToTheirEnd(kept)
    const told = (await Promise.all(kept)).filter(one => one !== undefined)
    for (const [study, those] of Map.groupBy(told, one => one.study))
      await (those.some(({ isImage }) => isImage) ? tell(study, those) : tellIfKnown(study, those))
  }

  async function takeOther({ read, context: { at } }: Heard): Promise<void> {
    switch (read.topic) {
      case 'parked.v1': {
        const { stage, topic, subject, key } = read.event
        if (stage !== 'infer' || topic !== topics.instances.name || subject === null) return
        await documents.insert('studyAnswers', refusalOf(read.event))
        return tellIfKnown(key, [{ at, change: unchanged }])
      }
      case 'models.feedback.v1': {
        const verdict = verdictOf(read.event)
        const known = await documents.get('studyVerdicts', verdict.id)
        if (known && known.at > verdict.at) return
        await documents.upsert('studyVerdicts', [verdict])
        return tellIfKnown(verdict.study, [{ at, change: unchanged }])
      }
      case 'imaging.studies.v1': {
        const { event } = read
        const known = await documents.get('studyStates', event.study)
        if ((known?.assessed?.revision ?? 0) >= event.revision) return
        const change = (state: State) => withAssessment(state, event, clock.now())
        return tell(event.study, [{ at, change }], known)
      }
      case 'imaging.requests.v1': {
        const { event } = read
        if (event.what !== 'complete' && event.what !== 'expect') return
        return tell(event.study, [{ at, change: state => withRequest(state, event, clock.now()) }])
      }
    }
  }

  return {
    handle: (read: Heard['read'], context: Heard['context']): Promise<void> => {
      const one = { read, context }
      return isPart(one) ? takeParts([one]) : takeOther(one)
    },
    handleMany: (these: readonly Heard[]): Promise<void> => takeParts(these.filter(isPart)),
  }
}
