/** What zod cannot say of a manifest: that its parts agree with each other, and with the graph that it describes. */
import type { ModelManifest } from './manifest.ts'
import { DIGIT_SIDE } from './prepare/digit.ts'
import { channelsOf, shapeOf } from './prepare/tensor.ts'

export interface GraphValue {
  name: string
  /** Element type as ONNX Runtime calls it; 'not a tensor' for a sequence or map. */
  type: string
  /** A string is a symbolic dimension: any size. Empty where the graph does not say. */
  shape: readonly (number | string)[]
}

export interface GraphInfo {
  inputs: readonly GraphValue[]
  outputs: readonly GraphValue[]
}

const floats = ['float32', 'float16', 'float64']

/** Every contradiction within a manifest, in words; empty when there is none. */
export function manifestProblems({ input, output, mask }: ModelManifest): string[] {
  const problems: string[] = []
  const channels = channelsOf(input)
  for (const field of ['mean', 'std'] as const) {
    const given = input[field].length
    if (given !== 1 && given !== channels) {
      problems.push(`input.${field} has ${given} values; give one, or ${channels}: one for each channel`)
    }
  }
  if (input.intensity.from === 'modality' && input.intensity.high <= input.intensity.low) {
    problems.push('input.intensity.high must be above low')
  }
  if (input.fit === 'digit' && (input.width !== DIGIT_SIDE || input.height !== DIGIT_SIDE || channels !== 1)) {
    problems.push(`input.fit "digit" makes grey ${DIGIT_SIDE}x${DIGIT_SIDE}; width, height and channels say otherwise`)
  }
  if (new Set(output.labels).size !== output.labels.length) problems.push('output.labels holds a label twice')
  if (output.kind === 'binary') {
    if (output.labels.length !== 2) problems.push(`output.labels has ${output.labels.length} labels; binary takes two`)
    if (output.positive === undefined) problems.push('output.positive is missing; binary needs it')
    else if (!output.labels.includes(output.positive)) {
      problems.push(`output.positive "${output.positive}" is not one of output.labels`)
    }
  } else {
    if (output.threshold !== undefined) problems.push('output.threshold is for binary; the highest class wins here')
    if (output.positive !== undefined) problems.push('output.positive is for binary')
    if (output.activation === 'sigmoid') problems.push('output.activation "sigmoid" is for binary; use softmax or none')
    if (mask && mask.label === undefined) problems.push('mask.label is missing; multiclass needs it')
  }
  return problems
}

/** Every way in which the graph is not what the manifest says, in words; empty when there is none. */
export function graphProblems(manifest: ModelManifest, graph: GraphInfo): string[] {
  return [
    ...inputProblems(manifest, graph),
    ...outputProblems(manifest, graph),
    ...mapProblems('mask', manifest.mask, graph),
    ...mapProblems('explanation', manifest.explanation, graph),
  ]
}

function inputProblems({ input, batch }: ModelManifest, graph: GraphInfo): string[] {
  const found = graph.inputs.find(value => value.name === input.name)
  const names = graph.inputs.map(value => value.name).join(', ')
  if (!found) return [`input.name is ${input.name}; the graph takes ${names}`]
  const problems: string[] = []
  if (graph.inputs.length > 1) problems.push(`the graph takes ${names}; a model here has one input`)
  if (found.type !== input.type) problems.push(`input.type is ${input.type}; the graph takes ${found.type}`)
  if (found.shape.length === 0) return problems
  const [first, ...rest] = found.shape
  const [, ...wanted] = shapeOf(input, 1)
  if (rest.length !== wanted.length || rest.some((size, at) => typeof size === 'number' && size !== wanted[at])) {
    problems.push(`input is ${input.layout} N x ${wanted.join(' x ')}; the graph takes ${found.shape.join(' x ')}`)
  }
  if (typeof first === 'number' && first !== batch.max) {
    problems.push(`batch.max is ${batch.max}; the graph takes exactly ${first}`)
  }
  return problems
}

function outputProblems({ output }: ModelManifest, graph: GraphInfo): string[] {
  const found = graph.outputs.find(value => value.name === output.name)
  if (!found) return [`output.name is ${output.name}; the graph gives ${graph.outputs.map(o => o.name).join(', ')}`]
  const problems: string[] = []
  if (!floats.includes(found.type))
    problems.push(`the graph's output is ${found.type}; it must be ${floats.join(', ')}`)
  const sizes = found.shape.slice(1)
  if (found.shape.length > 0 && sizes.every(size => typeof size === 'number')) {
    const size = sizes.reduce((product, one) => product * one, 1)
    const wrong = outputSizeProblem(output, size)
    if (wrong) problems.push(wrong)
  }
  return problems
}

function mapProblems(field: 'mask' | 'explanation', map: { name: string } | undefined, graph: GraphInfo): string[] {
  if (!map) return []
  const found = graph.outputs.find(value => value.name === map.name)
  if (!found) return [`${field}.name is ${map.name}; the graph gives ${graph.outputs.map(o => o.name).join(', ')}`]
  if (!floats.includes(found.type)) return [`${map.name} is ${found.type}; ${field} must be ${floats.join(', ')}`]
  // A size that the graph leaves open is seen when it runs.
  const fits = found.shape.length === 0 || sizeOfMap(found.shape.map(size => (typeof size === 'number' ? size : 1)))
  return fits ? [] : [`${map.name} is ${found.shape.join(' x ')}; ${field} must be ${mapShapes}`]
}

/** Longest side of a mask or an explanation: what is looked at pixel by pixel must have an end. */
const longestMap = 2048
export const mapShapes = `N x 1 x h x w or N x h x w, of 1 to ${longestMap} on a side`

/** Height and width of a mask or an explanation of this shape; undefined where it is none. @param shape with the batch */
export function sizeOfMap(shape: readonly number[]): { height: number; width: number } | undefined {
  const [height = 0, width = 0] = shape.slice(-2)
  const isPlane = shape.length === 3 || (shape.length === 4 && shape[1] === 1)
  const isBounded = Math.min(height, width) >= 1 && Math.max(height, width) <= longestMap
  return isPlane && isBounded ? { height, width } : undefined
}

/** @param size numbers that the graph gives for one image */
export function outputSizeProblem(output: ModelManifest['output'], size: number): string | undefined {
  if (output.kind === 'binary' && size === 1) {
    return output.activation === 'softmax' ? 'softmax of one output is always 1; use sigmoid or none' : undefined
  }
  if (size !== output.labels.length) {
    return `the graph gives ${size} numbers for an image; output.labels has ${output.labels.length}`
  }
  return output.activation === 'sigmoid' ? 'output.activation "sigmoid" takes a graph with one output' : undefined
}
