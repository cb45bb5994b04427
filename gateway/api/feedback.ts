/** What a person says of a prediction: that it is right, what would be right, or that it cannot be said. */
import { z } from 'zod'
import type { Publish } from '../../kafka/stage.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Feedback, type Prediction, topics } from '../../schemas/topics.ts'
import { problems } from '../http/problem.ts'
import { type ApiContext, type App, found } from './context.ts'
import { feedbackShape, idParams } from './shapes.ts'

const body = z.discriminatedUnion('verdict', [
  z.strictObject({ verdict: z.literal('agreed') }),
  z.strictObject({ verdict: z.literal('corrected'), label: z.string().min(1).max(256).describe('the right label') }),
  z.strictObject({ verdict: z.literal('unsure') }),
])

/** Until people have accounts, whoever holds the token is one person. */
const actor = 'token'

export function addFeedbackRoute(
  app: App,
  { deps: { documents, models }, clock }: ApiContext,
  publish: Publish<typeof topics.feedback>,
): void {
  app.post(
    '/predictions/:id/feedback',
    {
      schema: {
        tags: ['predictions'],
        summary: 'Agree with it, correct it, or say that it cannot be said; the last word counts',
        params: idParams,
        body,
        response: { 200: feedbackShape, ...problems },
      },
    },
    async ({ params, body: said }) => {
      const { id } = params
      const known = (await documents.get('predictions', id)) ?? (await documents.get('replayed', id))
      const prediction = found(known, 'prediction')
      const label = said.verdict === 'corrected' ? checked(prediction, said.label) : null
      const event: Feedback = {
        id: ids.feedback(prediction.id, actor),
        study: prediction.study,
        instance: prediction.instance,
        prediction: prediction.id,
        ...{ verdict: said.verdict, label, actor, at: clock.now() },
      }
      await publish(topics.feedback, event)
      return event
    },
  )

  /** A label with a typing error would count as another class for good. */
  function checked({ model: { name, version } }: Prediction, label: string): string {
    const info = models.list().find(({ ref }) => ref.name === name && ref.version === version)
    const labels = info?.manifest.output.labels
    if (labels && !labels.includes(label))
      throw new RaylogError('bad-request', `${name}@${version} knows ${labels.slice(0, 32).join(', ')}`)
    return label
  }
}
