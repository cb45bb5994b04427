/**
 * Makes a copy of a model that workers can share: the graph as ONNX Runtime has optimised it for this processor, and its weights, laid
 * out as this processor's kernels want them, in a file that each session maps into its memory and none changes. The kernel then holds
 * them once for all workers (docs/adr/0024).
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ModelManifest } from '../../manifest.ts'
import { makeTables, makeTensorData, shapeOf } from '../../prepare/tensor.ts'
import { InferenceSession, Tensor } from '../onnxruntime/onnxruntime.ts'
import { optionsOf, sharedOptions } from '../sessions.ts'
import { keepInputs } from './onnx.ts'

/** What is smaller stays in the graph's own file, bytes. */
const leastMapped = '1024'

export interface ToShare {
  manifest: ModelManifest
  /** Path of the weights as they were given. */
  weights: string
  /** Paths that are written, in the same folder. */
  graph: string
  mapped: string
}

/** @throws where the model cannot be loaded or written, or where its copy does not say to the bit what it says itself; nothing is left of it then */
export async function makeShared(model: ToShare): Promise<void> {
  try {
    await write(model)
  } catch (thrown) {
    await Promise.all([model.graph, model.mapped].map(path => rm(path, { force: true })))
    throw thrown
  }
}

async function write({ manifest, weights, graph, mapped }: ToShare): Promise<void> {
  const given = await InferenceSession.create(weights, {
    ...optionsOf(1),
    optimizedModelFilePath: graph,
    extra: {
      session: {
        optimized_model_external_initializers_file_name: basename(mapped),
        optimized_model_external_initializers_min_size_in_bytes: leastMapped,
        save_external_prepacked_constant_initializers: '1',
      },
    },
  })
  try {
    // Until version 4 of the format a graph declares its weights as inputs too; those that the optimisation has replaced are left without a value.
    await writeFile(graph, keepInputs(await readFile(graph), given.inputNames))
    const copy = await InferenceSession.create(graph, sharedOptions(1))
    // What they hold is not the collector's, and the next model needs the room.
    await compare(manifest, given, copy).finally(() => copy.release())
  } finally {
    await given.release()
  }
}

/** Both with the same picture. @throws where an output differs in a bit */
export async function compare(
  { input }: Pick<ModelManifest, 'input'>,
  given: InferenceSession,
  copy: InferenceSession,
): Promise<void> {
  const [table] = makeTables(input)
  const data = makeTensorData(input, 1).map((_, at) => table?.[(at * 31) % 17] ?? 0)
  const feeds = { [input.name]: new Tensor(input.type, data, shapeOf(input, 1)) }
  const [wanted, got] = [await given.run(feeds), await copy.run(feeds)]
  for (const name of given.outputNames)
    if (!sameBits(wanted[name], got[name])) throw new Error(`the copy gives another ${name}`)
}

function sameBits(one: Tensor | undefined, other: Tensor | undefined): boolean {
  const [a, b] = [one?.data, other?.data]
  return ArrayBuffer.isView(a) && ArrayBuffer.isView(b) && bytesOf(a).equals(bytesOf(b))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength)
