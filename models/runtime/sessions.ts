/** Sessions of ONNX Runtime: one a model and worker, made and warmed up before the first image. */
import { RaylogError } from '../../schemas/errors.ts'
import { type GraphInfo, graphProblems, mapShapes, outputSizeProblem, sizeOfMap } from '../manifest-rules.ts'
import type { Plane } from '../marks/plane.ts'
import { createPreparer, type Preparer } from '../prepare/prepare.ts'
import { fromHalf, makeTensorData, shapeOf, type TensorData } from '../prepare/tensor.ts'
import { InferenceSession, Tensor } from './onnxruntime/onnxruntime.ts'
import type { OpenMessage, WorkerModel } from './protocol.ts'

/** What the graph gave for one image. */
export interface Given {
  scores: ArrayLike<number>
  /** Of a model that has one. */
  mask: Plane | undefined
  explanation: Plane | undefined
}

export interface Session {
  readonly manifest: WorkerModel['manifest']
  readonly provider: string
  /** Providers that were asked for first and could not be had, each with the reason. */
  readonly passedOver: string[]
  readonly preparer: Preparer
  /** Places of images, whole batches of them, used again and again: run() has read them when it returns. */
  readonly input: TensorData
  /** How many. */
  readonly places: number
  /** Runs one batch: so many images of `input`, from this place on. One for each, in their order. */
  run(from: number, images: number): Promise<Given[]>
}

/** As much is prepared before the first batch of several is run: what prepares is in the processor's caches then, and stays there. Bytes. */
const preparedAhead = 4 * 1024 * 1024

/** @throws RaylogError model-invalid when the graph cannot be loaded, is not what the manifest says, or does not run */
export async function openSession(
  model: WorkerModel,
  settings: Omit<OpenMessage, 'type' | 'models'>,
): Promise<Session> {
  const { manifest } = model
  const { session, provider, passedOver } = await create(model, settings)
  const problems = graphProblems(manifest, describe(session))
  if (problems.length > 0) throw new RaylogError('model-invalid', problems.join('; '))

  const fixed = describe(session).inputs[0]?.shape[0]
  const preparer = createPreparer(manifest.input)
  const { elements } = preparer
  const batchBytes = makeTensorData(manifest.input, manifest.batch.max).byteLength
  const { output, mask, explanation } = manifest
  const marks = mask ?? explanation
  // Masks of a batch, and pictures to draw on, are more than its input: they are let go before the next.
  const places = manifest.batch.max * (marks ? 1 : Math.max(1, Math.floor(preparedAhead / batchBytes)))
  const wanted = [...new Set([output, mask, explanation].flatMap(one => one?.name ?? []))]
  const input = makeTensorData(manifest.input, places)
  async function run(from: number, images: number) {
    const size = typeof fixed === 'number' ? fixed : sizeOn(provider, images, manifest.batch.max)
    if (size > images) input.fill(0, (from + images) * elements, (from + size) * elements)
    const data = input.subarray(from * elements, (from + size) * elements)
    const fed = new Tensor(manifest.input.type, data, shapeOf(manifest.input, size))
    const given = await session.run({ [manifest.input.name]: fed }, wanted)
    const scores = split(given[output.name], size)
    const masks = mask && planes(given[mask.name], mask.name, size)
    const explanations = explanation && planes(given[explanation.name], explanation.name, size)
    return scores
      .slice(0, images)
      .map((one, at) => ({ scores: one, mask: masks?.[at], explanation: explanations?.[at] }))
  }
  /** A size that the GPU has no memory for fails the batches that have it, whose images are then run one by one. */
  async function tryAllSizes(): Promise<void> {
    const { max } = manifest.batch
    try {
      for (let images = 2; images < 2 * max; images *= 2) await run(0, Math.min(images, max))
    } catch {
      // The smaller ones were tried.
    }
  }
  const [first] = await run(0, 1)
  if (provider !== 'cpu' && typeof fixed !== 'number') await tryAllSizes()
  const wrong = outputSizeProblem(manifest.output, first?.scores.length ?? 0)
  if (wrong) throw new RaylogError('model-invalid', wrong)
  return { manifest, provider, passedOver, preparer, input, places, run }
}

/**
 * A GPU chooses and makes what it runs anew for each size of batch that it has not seen, for a tenth of a second and more: so there
 * it sees powers of two, and the largest, alone, each of them before the first image.
 *
 * @returns images that are run for so many, the rest being empty
 */
export function sizeOn(provider: string, images: number, most: number): number {
  return provider === 'cpu' ? images : Math.min(most, 2 ** Math.ceil(Math.log2(images)))
}

type Provider = OpenMessage['providers'][number]

export function optionsOf(threads: number, provider: Provider = 'cpu'): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Errors only: warnings about unused initializers say nothing to an operator.
    logSeverityLevel: 3,
  }
}

/** Of a copy (shared/make.ts), which is optimised already. */
export const sharedOptions = (threads: number): InferenceSession.SessionOptions => ({
  ...optionsOf(threads),
  graphOptimizationLevel: 'disabled',
})

/** The first provider that works. */
async function create(model: WorkerModel, { providers, threads }: Omit<OpenMessage, 'type' | 'models'>) {
  const passedOver: string[] = []
  for (const provider of providers) {
    try {
      const shared = provider === 'cpu' ? await createShared(model, threads, passedOver) : undefined
      const session = shared ?? (await InferenceSession.create(model.weights, optionsOf(threads, provider)))
      return { session, provider, passedOver }
    } catch (thrown) {
      passedOver.push(`${provider}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
  }
  throw new RaylogError('model-invalid', `ONNX Runtime cannot load the weights (${passedOver.join('; ')})`)
}

/** A copy that somebody took away costs memory, and no more. */
async function createShared({ shared }: WorkerModel, threads: number, passedOver: string[]) {
  if (shared === undefined) return undefined
  return InferenceSession.create(shared, sharedOptions(threads)).catch((thrown: unknown) => {
    passedOver.push(`the copy that workers share: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    return undefined
  })
}

function describe(session: InferenceSession): GraphInfo {
  const values = (metadata: readonly InferenceSession.ValueMetadata[]) =>
    metadata.map(value =>
      value.isTensor
        ? { name: value.name, type: value.type, shape: value.shape }
        : { name: value.name, type: 'not a tensor', shape: [] },
    )
  return { inputs: values(session.inputMetadata), outputs: values(session.outputMetadata) }
}

/** The output of a batch as plain numbers, image by image. */
function split(output: Tensor | undefined, images: number): Numbers[] {
  if (!output) throw new RaylogError('infer-failed', 'the graph gave no output')
  const { data } = output
  const size = data.length / images
  if (!Number.isInteger(size)) {
    throw new RaylogError('infer-failed', `${data.length} numbers for ${images} images`)
  }
  const numbers = toNumbers(output.type, data)
  return Array.from({ length: images }, (_, image) => numbers.subarray(image * size, (image + 1) * size))
}

/** A mask or an explanation of each image. @throws RaylogError infer-failed */
function planes(output: Tensor | undefined, name: string, images: number): Plane[] {
  const { dims } = output ?? { dims: [] }
  const size = sizeOfMap(dims)
  if (!size || dims[0] !== images)
    throw new RaylogError(
      'infer-failed',
      `${name} is ${dims.join(' x ')} for ${images} images; it must be ${mapShapes}`,
    )
  return split(output, images).map(data => ({ ...size, data }))
}

type Numbers = Float32Array | Float64Array

function toNumbers(type: Tensor['type'], data: Tensor['data']): Numbers {
  if (data instanceof Float32Array || data instanceof Float64Array) return data
  if (type === 'float16' && data instanceof Uint16Array) return Float64Array.from(data, fromHalf)
  throw new RaylogError('infer-failed', `the graph gave ${type}`)
}
