/**
 * From a decoded frame to a model's input, in this order: intensity to 8 bit, channels, fit with resampling, then
 * (value / divideBy - mean) / std. The twin of models/training/prepare.py; models/fixtures/serving.json holds them equal.
 */
import type { Take } from '../imaging/memory.ts'
import type { DecodedFrame } from '../imaging/types.ts'
import type { ModelManifest } from '../manifest.ts'
import { fitTo } from './fit.ts'
import { toPixels } from './intensity.ts'
import type { Placement } from './placement.ts'
import { elementsOf, makeTables, type TensorData, writeTensor } from './tensor.ts'

export interface Preparer {
  /** Elements of one image. */
  readonly elements: number
  /** Writes the frame as image number `index` of the batch that `target` holds. @returns where that lies in the frame */
  into(frame: DecodedFrame, target: TensorData, index: number, take?: Take): Placement
}

export function createPreparer(input: ModelManifest['input']): Preparer {
  const elements = elementsOf(input)
  const tables = makeTables(input)
  return {
    elements,
    into(frame, target, index, take) {
      const { pixels, place } = fitTo(toPixels(frame, input, take), input, take)
      writeTensor(pixels, input, tables, target, index * elements)
      return place
    },
  }
}
