/** A process that makes copies of models and ends: what ONNX Runtime needs for that, twice the weights and more, goes with it. */
import { toRaylogError } from '../../../schemas/errors.ts'
import { makeShared, type ToShare } from './make.ts'

/** Of each model, why it cannot be shared; undefined where it can. */
export type Made = readonly (string | undefined)[]

process.title = 'raylog share models'
// As in the workers.
Reflect.deleteProperty(globalThis, 'Float16Array')
process.on('disconnect', () => process.exit(0))
process.once('message', async (models: readonly ToShare[]) => {
  const made: (string | undefined)[] = []
  for (const model of models) {
    made.push(
      await makeShared(model).then(
        () => undefined,
        (thrown: unknown) => toRaylogError(thrown).message,
      ),
    )
  }
  process.send?.(made, () => process.disconnect())
})
