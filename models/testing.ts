/** For tests and benchmarks: model folders around the tiny graphs of fixtures/graphs, small images, and a store for them. */
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import pino from 'pino'
import sharp from 'sharp'
import type { z } from 'zod'
import { createMetrics } from '../monitoring/metrics.ts'
import { platformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import type { Instance } from '../schemas/topics.ts'
import type { ObjectStore } from '../storage/objects.ts'
import { type EngineOptions, openModels } from './engine.ts'
import type { modelManifest } from './manifest.ts'

export const graphsFolder = join(import.meta.dirname, 'fixtures/graphs')

type Manifest = z.input<typeof modelManifest>
export type Changes = Partial<Omit<Manifest, 'input' | 'output' | 'accepts'>> & {
  input?: Partial<Manifest['input']>
  output?: Partial<Manifest['output']>
  accepts?: Partial<Manifest['accepts']>
}

type Shape = Pick<Manifest, 'input' | 'output' | 'mask' | 'explanation'>

const small: Shape['input'] = { name: 'image', layout: 'NCHW', channels: 'rgb', width: 8, height: 8 }
const grey: Shape = {
  input: { ...small, channels: 'grey' },
  output: { name: 'scores', kind: 'binary', labels: ['dark', 'bright'], positive: 'bright', threshold: 0.5 },
}
const classes: Shape['output'] = {
  name: 'scores',
  kind: 'multiclass',
  activation: 'softmax',
  labels: ['red', 'green', 'blue'],
}

/** How each graph of fixtures/graphs is described. */
const described = {
  mean: grey,
  single: grey,
  slow: grey,
  ratio: grey,
  fails: grey,
  declared: grey,
  untold: grey,
  classes: { input: small, output: classes },
  marks: { ...grey, mask: { name: 'mask' }, explanation: { name: 'explanation' } },
  half: { input: { ...small, type: 'float16' }, output: classes },
  bytes: {
    input: { ...small, type: 'uint8', layout: 'NHWC', divideBy: 1 },
    output: { ...classes, activation: 'none' },
  },
} satisfies Record<string, Shape>

export type GraphName = keyof typeof described

/** The manifest of a graph, with what a test wants otherwise. Named as the graph, version 1. */
export function manifestOf(
  graph: GraphName,
  changes: Changes = {},
  weights = join(graphsFolder, `${graph}.onnx`),
): Manifest {
  const { input, output, accepts, ...rest } = changes
  const shape: Shape = described[graph]
  return {
    name: graph,
    version: '1',
    title: `The ${graph} fixture`,
    runtime: 'onnx',
    weights: {
      file: 'model.onnx',
      sha256: createHash('sha256').update(readFileSync(weights)).digest('hex'),
      bytes: statSync(weights).size,
    },
    accepts: { contentTypes: [], modalities: [], bodyParts: [], views: [], photometric: [], ...accepts },
    ...shape,
    input: { ...shape.input, ...input },
    output: { ...shape.output, ...output },
    batch: { max: graph === 'single' ? 1 : 16 },
    card: {
      licence: 'Apache-2.0',
      data: 'none',
      intendedUse: 'tests',
      limits: 'none',
      trainedBy: 'make.py',
      quality: [],
    },
    ...rest,
  }
}

/** Writes a model folder. @returns its path */
export function writeModel(root: string, folder: string, manifest: Manifest, weights: string): string {
  const path = join(root, folder)
  mkdirSync(path, { recursive: true })
  copyFileSync(weights, join(path, 'model.onnx'))
  writeFileSync(join(path, 'model.json'), JSON.stringify(manifest))
  return path
}

export function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'raylog-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** An RGB PNG of one colour. */
export const png = (r: number, g = r, b = r, side = 8): Promise<Buffer> =>
  sharp({ create: { width: side, height: side, channels: 3, background: { r, g, b } } })
    .png({ compressionLevel: 1 })
    .toBuffer()

/** Objects in a folder, or (with `remote`) in memory as of a store that has no place on this machine. */
export function testObjects(root: string, remote = false, presign?: ObjectStore['presign']) {
  const objects = join(root, 'objects')
  mkdirSync(objects, { recursive: true })
  const put = (bytes: Uint8Array, contentType = 'image/png'): Instance['object'] => {
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(join(objects, sha256), bytes)
    return { key: sha256, sha256, bytes: bytes.length, contentType }
  }
  return {
    put,
    bytes: (key: string) => readFileSync(join(objects, key)),
    ...(presign ? { presign } : {}),
    local: (key: string) => (remote ? undefined : join(objects, key)),
    async stream(key: string) {
      try {
        return Readable.from([readFileSync(join(objects, key))], { objectMode: false })
      } catch (thrown) {
        throw new RaylogError('object-missing', 'there is no such object', { cause: thrown })
      }
    },
  }
}

export const instanceOf = (object: Instance['object'], changes: Partial<Instance> = {}): Instance => ({
  id: `in_${object.sha256.slice(0, 32)}`,
  site: 'main',
  study: 'st_1',
  source: { kind: 'upload', peer: 'test' },
  object,
  dicom: null,
  modality: null,
  bodyPart: null,
  view: null,
  laterality: null,
  studyInstances: null,
  deidentified: null,
  rows: 8,
  columns: 8,
  frames: 1,
  photometric: null,
  equipment: null,
  patient: null,
  requested: [],
  priority: 'routine',
  acquiredAt: null,
  receivedAt: 0,
  ...changes,
})

type Settings = EngineOptions['settings']

/** An engine over model folders below a temporary root, silent unless told otherwise. */
export async function testEngine(
  root: string,
  graphs: readonly (GraphName | { graph: GraphName; changes: Changes })[],
  settings: Partial<Settings> = {},
  options: Partial<EngineOptions> & { remote?: boolean; presign?: ObjectStore['presign'] } = {},
) {
  const models = join(root, 'models')
  for (const one of graphs) {
    const { graph, changes } = typeof one === 'string' ? { graph: one, changes: {} } : one
    const manifest = manifestOf(graph, changes)
    writeModel(models, `${manifest.name}-${manifest.version}`, manifest, join(graphsFolder, `${graph}.onnx`))
  }
  const objects = testObjects(root, options.remote, options.presign)
  const metrics = createMetrics()
  const engine = await openModels({
    settings: { ...platformConfig.parse({}).models, builtIn: false, folders: [models], workers: 1, ...settings },
    objects,
    spoolFolder: join(root, 'spool'),
    metrics,
    logger: pino({ level: 'silent' }),
    ...options,
  })
  const ref = (name: string) => {
    const found = engine.list().find(info => info.ref.name === name)
    if (!found) throw new Error(`no model ${name}`)
    return found.ref
  }
  return { engine, objects, metrics, ref, [Symbol.asyncDispose]: () => engine.close() }
}

export interface DicomOptions {
  rows: number
  columns: number
  /** 8 or 16, unsigned, MONOCHROME2. */
  bits?: 8 | 16
  frames?: number
  /** Sample `i` of the whole pixel data. */
  sample: (i: number) => number
}

/** A small DICOM file in Explicit VR Little Endian (PS3.5 A.2, PS3.10 7.1): a secondary capture without a patient. */
export function dicomFile({ rows, columns, bits = 8, frames = 1, sample }: DicomOptions): Buffer {
  const count = rows * columns * frames
  const samples = Buffer.alloc((count * bits) / 8 + (((count * bits) / 8) % 2))
  for (let i = 0; i < count; i += 1) {
    if (bits === 8) samples.writeUInt8(sample(i), i)
    else samples.writeUInt16LE(sample(i), 2 * i)
  }
  const uid = `1.2.826.0.1.3680043.10.1.${rows}.${columns}.${frames}.${sample(0)}.${sample(1)}`
  const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7'
  const meta = [element(0x0002, 0x0002, 'UI', secondaryCapture), element(0x0002, 0x0003, 'UI', uid)]
  meta.push(element(0x0002, 0x0010, 'UI', '1.2.840.10008.1.2.1'))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(Buffer.concat(meta).length)
  const short = (group: number, tag: number, value: number) => {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16LE(value)
    return element(group, tag, 'US', bytes)
  }
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    element(0x0002, 0x0000, 'UL', length),
    ...meta,
    element(0x0008, 0x0016, 'UI', secondaryCapture),
    element(0x0008, 0x0018, 'UI', uid),
    element(0x0008, 0x0060, 'CS', 'OT'),
    element(0x0020, 0x000d, 'UI', `${uid}.1`),
    element(0x0020, 0x000e, 'UI', `${uid}.2`),
    short(0x0028, 0x0002, 1),
    element(0x0028, 0x0004, 'CS', 'MONOCHROME2'),
    element(0x0028, 0x0008, 'IS', String(frames)),
    short(0x0028, 0x0010, rows),
    short(0x0028, 0x0011, columns),
    short(0x0028, 0x0100, bits),
    short(0x0028, 0x0101, bits),
    short(0x0028, 0x0102, bits - 1),
    short(0x0028, 0x0103, 0),
    element(0x0028, 0x1050, 'DS', String(2 ** (bits - 1))),
    element(0x0028, 0x1051, 'DS', String(2 ** bits)),
    element(0x7fe0, 0x0010, bits === 8 ? 'OB' : 'OW', samples),
  ])
}

/** An element in explicit VR little endian (PS3.5 7.1.2), made even. */
export function element(group: number, tag: number, vr: string, value: string | Buffer): Buffer {
  const text = typeof value === 'string' ? Buffer.from(value) : value
  const padded = text.length % 2 === 0 ? text : Buffer.concat([text, Buffer.from(vr === 'UI' ? '\0' : ' ')])
  const long = vr === 'OB' || vr === 'OW'
  const head = Buffer.alloc(long ? 12 : 8)
  head.writeUInt16LE(group, 0)
  head.writeUInt16LE(tag, 2)
  head.write(vr, 4, 'ascii')
  if (long) head.writeUInt32LE(padded.length, 8)
  else head.writeUInt16LE(padded.length, 6)
  return Buffer.concat([head, padded])
}

/** Whether a point lies within an outline (even-odd), as masks are drawn from outlines. @param points x, y, x, y … */
export function holds(points: readonly number[], x: number, y: number): boolean {
  let inside = false
  for (let i = 0, j = points.length - 2; i < points.length; j = i, i += 2) {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = [points[i], points[i + 1], points[j], points[j + 1]]
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside
  }
  return inside
}
