/** raylog explain ID: what became of an instance, and why. */
import { z } from 'zod'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

const explanation = z.object({
  instance: z.string(),
  received: z.object({ at: z.number(), source: z.object({ kind: z.string(), peer: z.string() }) }).loose(),
  routes: z.array(
    z.object({
      model: z.object({ name: z.string(), version: z.string() }).loose(),
      accepted: z.boolean(),
      reason: z.string(),
    }),
  ),
  steps: z.array(
    z
      .object({ at: z.number(), stage: z.string(), what: z.string(), text: z.string(), remedy: z.string().nullable() })
      .loose(),
  ),
})

export async function explain(sources: SettingSources, id: string, json: boolean): Promise<void> {
  const answer = await connect(sources).call('GET', `/api/v1/instances/${encodeURIComponent(id)}/explain`, explanation)
  if (json) return console.log(JSON.stringify(answer, null, 2))
  const took = answer.routes.filter(({ accepted }) => accepted).length
  console.log(`${answer.instance}, by ${answer.received.source.kind} from ${answer.received.source.peer}`)
  console.log(`\nModels (${took} took it)`)
  console.log(
    table(
      answer.routes.map(({ model, accepted, reason }) => [
        `${model.name}@${model.version}`,
        accepted ? 'took it' : 'did not',
        reason,
      ]),
    ),
  )
  console.log('\nSteps')
  for (const { at, stage, text, remedy } of answer.steps) {
    console.log(table([[new Date(at).toISOString(), stage, text]]))
    if (remedy) console.log(`    ${remedy}`)
  }
}
