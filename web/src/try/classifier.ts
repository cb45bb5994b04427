/** Asks a model what a canvas shows: one question at a time, and after it the newest state of the drawing, if it changed. */
import { type Problem, post, toProblem } from '../api/client.ts'
import { toClassified } from '../api/shape.ts'
import type { Prediction } from '../api/types.ts'
import { formFor } from '../uploads.ts'

export interface Seen {
  prediction: Prediction
  /** From asking to answer, ms. */
  roundTripMs: number
}

/** A stroke rests this long before it is looked at. */
const restMs = 120
const timeoutMs = 10_000

export interface Classifier {
  show(canvas: HTMLCanvasElement): void
  /** What is on its way is not told any more: the drawing was cleared. */
  forget(): void
  close(): void
}

export function createClassifier(
  model: string,
  tell: (seen: Seen) => void,
  fail: (problem: Problem | null) => void,
): Classifier {
  let timer: ReturnType<typeof setTimeout> | undefined
  let asking = false
  let changed = false
  let generation = 0

  async function ask(canvas: HTMLCanvasElement) {
    if (asking) {
      changed = true
      return
    }
    asking = true
    changed = false
    const mine = generation
    const begun = performance.now()
    try {
      const { predictions } = await post(
        `/predictions?timeoutMs=${timeoutMs}`,
        await formOf(canvas, model),
        toClassified,
      )
      const prediction = predictions.find(said => said.model.name === model)
      if (mine === generation && prediction) {
        fail(null)
        tell({ prediction, roundTripMs: performance.now() - begun })
      }
    } catch (error) {
      if (mine === generation) fail(toProblem(error))
    } finally {
      asking = false
      if (changed) void ask(canvas)
    }
  }

  const forget = () => {
    generation += 1
    changed = false
    clearTimeout(timer)
  }
  return {
    show(canvas) {
      clearTimeout(timer)
      timer = setTimeout(() => void ask(canvas), restMs)
    },
    forget,
    close: forget,
  }
}

async function formOf(canvas: HTMLCanvasElement, model: string): Promise<FormData> {
  const blob = await new Promise<Blob | null>(resolve => canvas.toBlob(resolve, 'image/png'))
  if (!blob) throw new Error('The drawing could not be made into a picture.')
  const file = new File([blob], 'digit.png', { type: 'image/png' })
  return formFor(file, { model, modality: 'OT', bodyPart: 'DIGIT' })
}
