/**
 * Assesses studies: says when one is complete and why, draws together what models said of its images, and says it again
 * when images or answers come late. What is kept of a study is kept in documents, for any replica to go on from.
 */

import { createReading } from '../../kafka/reading.ts'
import { defineStage } from '../../kafka/stage.ts'
import { isOwnReport } from '../../schemas/own-report.ts'
import { topics } from '../../schemas/topics.ts'
import { lookForDue } from '../../storage/due.ts'
import { Assessor } from './assessor.ts'
import { type State, withAssessment, withImage, withRequest } from './completion.ts'
import { dueStudies } from './due.ts'
import { answerOf, imageOf, refusalOf, verdictOf } from './parts.ts'
import { config } from './settings.ts'

const name = 'assess-study'

export const assessStudy = defineStage({
  name,
  role: 'processor',
  summary: 'says when a study is complete, and what was found in it',
  reads: [topics.instances, topics.predictions, topics.parked, topics.feedback, topics.requests, topics.studies],
  writes: [topics.studies],
  needs: ['log', 'codec', 'documents', 'models'],
  config,
  concurrency: settings => settings.concurrency,
  async open({ config: settings, deps, publish, clock, logger }) {
    const { documents, models } = deps
    const reading = createReading(deps.log, name, clock)
    const assessor = new Assessor({ deps, publish, clock, config: settings, reading })
    const stopping = new AbortController()
    const due = {
      ...dueStudies(documents, assessor, clock),
      clock,
      logger,
      random: Math.random,
      lookMs: settings.lookMs,
    }
    const looking = lookForDue(due, stopping.signal)

    /** What came by this record; where from is kept, for it says up to where the stage must have read. */
    async function tell(
      study: string,
      at: { topic: string; partition: number },
      change: (state: State) => State,
      read?: State,
    ): Promise<void> {
      const withPartition = (known: State) => {
        const next = change(known)
        if (next.partitions[at.topic] === at.partition) return next
        return { ...next, partitions: { ...next.partitions, [at.topic]: at.partition } }
      }
      await assessor.consider(await assessor.keep(study, withPartition, read))
    }
    /** An answer may come before its image. Then the image finds it. */
    async function tellIfKnown(study: string, at: { topic: string; partition: number }): Promise<void> {
      const read = await documents.get('studyStates', study)
      if (read) await tell(study, at, state => state, read)
    }

    return {
      async handle(read, { at }) {
        switch (read.topic) {
          case 'imaging.instances.v1': {
            if (isOwnReport(read.event)) return
            const routes = models.routes(read.event).filter(route => route.accepted)
            const image = imageOf(
              read.event,
              routes.map(({ model }) => model.name),
              clock.now(),
            )
            await documents.insert('studyImages', image)
            return tell(image.study, at, state => withImage(state, read.event, clock.now(), settings))
          }
          case 'imaging.predictions.v1': {
            const { role, study } = read.event
            // What a shadow or a replay says is for those who judge the model.
            if (role !== 'production' && role !== 'canary') return
            await documents.insert('studyAnswers', answerOf(read.event))
            return tellIfKnown(study, at)
          }
          case 'parked.v1': {
            const { stage, topic, subject, key } = read.event
            if (stage !== 'infer' || topic !== topics.instances.name || subject === null) return
            await documents.insert('studyAnswers', refusalOf(read.event))
            return tellIfKnown(key, at)
          }
          case 'models.feedback.v1': {
            const verdict = verdictOf(read.event)
            const known = await documents.get('studyVerdicts', verdict.id)
            if (known && known.at > verdict.at) return
            await documents.upsert('studyVerdicts', [verdict])
            return tellIfKnown(verdict.study, at)
          }
          case 'imaging.studies.v1': {
            const { study, revision } = read.event
            const known = await documents.get('studyStates', study)
            if ((known?.assessed?.revision ?? 0) >= revision) return
            return tell(study, at, state => withAssessment(state, read.event, clock.now()), known)
          }
          case 'imaging.requests.v1': {
            const { event } = read
            if (event.what !== 'complete' && event.what !== 'expect') return
            return tell(event.study, at, state => withRequest(state, event, clock.now()))
          }
        }
      },
      async close() {
        stopping.abort(new Error('stopping'))
        await looking
      },
    }
  },
})
