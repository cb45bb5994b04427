/** A process that makes copies of models, one after another, and ends: what ONNX Runtime needs for that, twice the weights and more, goes with it. */
import { toRaylogError } from '../../../schemas/errors.ts'
import { makeShared, type ToShare } from './make.ts'

/** Said of each model, in their order. */
export interface Copied {
  /** Why it has no copy; undefined where it has one. */
  refused: string | undefined
}

process.title = 'raylog share models'
// As in the workers.
Reflect.deleteProperty(globalThis, 'Float16Array')
process.on('disconnect', () => process.exit(0))
process.once('message', async (models: readonly ToShare[]) => {
  for (const model of models) {
    const refused = await makeShared(model).then(
      () => undefined,
      (thrown: unknown) => toRaylogError(thrown).message,
    )
    const copied: Copied = { refused }
    process.send?.(copied)
  }
  process.disconnect()
})
