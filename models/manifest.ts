/** model.json: what a model takes, how its input is made, how its output is read, and what it is worth. */
import { z } from 'zod'

const words = z.array(z.string()).default([]).describe('an empty list takes anything')

const intensity = z.discriminatedUnion('from', [
  z
    .strictObject({ from: z.literal('display') })
    .describe('0..255 as shown to a person: window or VOI LUT applied, MONOCHROME1 inverted'),
  z
    .strictObject({ from: z.literal('modality'), low: z.number(), high: z.number() })
    .describe('modality values (Hounsfield units in CT), low..high mapped to 0..255'),
])

const probability = z.number().min(0).max(1)

const mask = z
  .strictObject({
    name: z
      .string()
      .describe("the graph's output, [N, 1, h, w] or [N, h, w] of any h and w: it lies over the whole input"),
    activation: z.enum(['none', 'sigmoid']).default('none').describe('what makes probabilities of it'),
    threshold: probability.default(0.5).describe('at or above it a pixel is in'),
    label: z
      .string()
      .min(1)
      .optional()
      .describe(
        'what it outlines; binary: the positive label unless given. One of output.labels is outlined where it is the answer',
      ),
    smallest: probability.default(0.001).describe('share of the pixels of the mask below which a piece is left out'),
    most: z.int().min(1).max(50).default(10).describe('pieces of one image, at most: the largest'),
  })
  .describe('where what was found is; outlines of it are the regions of a prediction')

const explanation = z
  .strictObject({
    name: z
      .string()
      .describe(
        "the graph's output, of a shape as for a mask, of any range: the higher, the more it speaks for the positive label, or for the answer of several",
      ),
  })
  .describe('what the answer rests on; a picture of it is kept with the prediction')

export const modelManifest = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/),
  title: z.string(),
  runtime: z.enum(['onnx']),
  weights: z.strictObject({ file: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().positive() }),
  accepts: z.strictObject({
    contentTypes: words,
    modalities: words,
    bodyParts: words,
    views: words,
    photometric: words,
  }),
  input: z.strictObject({
    name: z.string().describe("the graph's input"),
    type: z.enum(['float32', 'float16', 'uint8']).default('float32'),
    layout: z.enum(['NCHW', 'NHWC']),
    channels: z.enum(['grey', 'rgb', 'bgr']),
    width: z.int().min(1).max(4096),
    height: z.int().min(1).max(4096),
    intensity: intensity.default({ from: 'display' }),
    fit: z.enum(['stretch', 'crop', 'pad', 'digit']).default('stretch'),
    resample: z.enum(['nearest', 'bilinear', 'bicubic']).default('bilinear'),
    divideBy: z.number().positive().default(255),
    mean: z.array(z.number()).default([0]).describe('by channel, or one for all; after divideBy'),
    std: z.array(z.number().positive()).default([1]),
  }),
  output: z.strictObject({
    name: z.string().describe("the graph's output"),
    kind: z.enum(['binary', 'multiclass']),
    activation: z.enum(['none', 'sigmoid', 'softmax']).default('none'),
    labels: z.array(z.string()).min(2),
    positive: z.string().optional().describe('binary: the label whose probability is the score'),
    threshold: z.number().min(0).max(1).optional().describe('binary: at or above it is positive'),
  }),
  mask: mask.optional(),
  explanation: explanation.optional(),
  batch: z.strictObject({ max: z.int().min(1).max(256) }).default({ max: 1 }),
  card: z.strictObject({
    licence: z.string(),
    data: z.string(),
    intendedUse: z.string(),
    limits: z.string(),
    trainedBy: z.string(),
    quality: z.array(
      z.strictObject({
        measure: z.string(),
        value: z.number(),
        low: z.number().optional(),
        high: z.number().optional(),
        on: z.string(),
      }),
    ),
  }),
})

export type ModelManifest = z.infer<typeof modelManifest>
