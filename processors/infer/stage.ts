/** Runs the models that take a stored instance, and writes what each says. Knows models, never the log. */
import { z } from 'zod'
import { defineStage } from '../../kafka/stage.ts'
import type { Models, Route } from '../../models/port.ts'
import { gravest, RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { type Instance, type Prediction, topics } from '../../schemas/topics.ts'

const config = z.strictObject({
  concurrency: z.int().min(1).max(4096).default(64).describe('instances in flight; more lets larger batches form'),
})

export const infer = defineStage({
  name: 'infer',
  role: 'processor',
  summary: 'runs the models that take a stored instance',
  reads: [topics.instances],
  writes: [topics.predictions],
  needs: ['models', 'objects', 'health'],
  config,
  order: 'none',
  concurrency: settings => settings.concurrency,
  async open({ deps, publish, clock }) {
    const unregister = deps.health.register('models', () => checkModels(deps.models))
    return {
      async handle({ event: instance }, { signal, leaving, emit }) {
        const routes = deps.models.routes(instance)
        const outcomes = await Promise.allSettled(
          routes
            .filter(route => route.accepted)
            .map(async ({ model }) => {
              const output = await deps.models.predict(model, instance, {
                priority: instance.priority,
                signal,
                leaving,
              })
              // Before the event, so that what it names is there. A crash between the two leaves the object, and makes it again.
              const explanation = output.explanation && (await deps.objects.put(output.explanation, 'image/png')).key
              const said = { ...output, explanation }
              return { ...describe(instance), ...said, ...identify(instance, model), predictedAt: clock.now() }
            }),
        )
        const made = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
        const errors = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : []))
        // Its next reader asks all of them.
        if (leaving.aborted && errors.includes(leaving.reason)) throw leaving.reason
        errors.push(...unmetRequests(instance, routes))
        if (errors.length === 0) {
          for (const prediction of made) emit(topics.predictions, prediction)
          return
        }
        // What a failed attempt emits is dropped, so the models that did answer are written here. Their ids are derived:
        // if a later attempt makes them again, they are the same predictions.
        if (made.length > 0) await publish(topics.predictions, ...made)
        signal.throwIfAborted()
        throw gravest(errors)
      },
      close: unregister,
    }
  },
})

const describe = ({ id, study, site, object, modality, patient, receivedAt }: Instance) => ({
  instance: id,
  study,
  site,
  object: object.key,
  modality,
  patient,
  receivedAt,
})

const identify = (instance: Instance, model: Prediction['model']) => ({
  id: ids.prediction(instance.id, model, 'production', null),
  model,
  role: 'production' as const,
  replay: null,
})

/** A sender that asks for a model by name must not be left without an answer or an error. */
function unmetRequests(instance: Instance, routes: readonly Route[]): RaylogError[] {
  return instance.requested.flatMap(wish => {
    const named = routes.filter(({ model }) => wish === model.name || wish === `${model.name}@${model.version}`)
    if (named.length === 0) return [new RaylogError('no-such-model', `${wish} is asked for and not loaded`)]
    if (named.some(route => route.accepted)) return []
    return [new RaylogError('model-refused', `${wish}: ${named.map(route => route.reason).join('; ')}`)]
  })
}

function checkModels(models: Models): void {
  const bad = models.list().filter(info => info.state !== 'ready')
  if (bad.length === 0) return
  const words = bad.map(
    ({ ref, state, reason }) => `${ref.name}@${ref.version} is ${state}${reason ? `: ${reason}` : ''}`,
  )
  throw new RaylogError('model-invalid', words.join('; '))
}
