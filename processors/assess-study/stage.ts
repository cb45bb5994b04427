/**
 * Assesses studies: says when one is complete and why, draws together what models said of its images, and says it again
 * when images or answers come late. What is kept of a study is kept in documents, for any replica to go on from.
 */

import { createReading } from '../../kafka/reading.ts'
import { defineStage } from '../../kafka/stage.ts'
import { topics } from '../../schemas/topics.ts'
import { lookForDue } from '../../storage/due.ts'
import { Assessor } from './assessor.ts'
import { dueStudies } from './due.ts'
import { heard, listenTo, parts } from './hear.ts'
import { config } from './settings.ts'

const name = 'assess-study'

export const assessStudy = defineStage({
  name,
  role: 'processor',
  summary: 'says when a study is complete, and what was found in it',
  reads: heard,
  together: parts,
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

    return {
      ...listenTo({ documents, models, clock, settings, assessor }),
      async close() {
        stopping.abort(new Error('stopping'))
        await looking
      },
    }
  },
})
