/** A Raylog with one model, which says where and why: what is bright, by the graph `marks`; and an image with a bright rectangle. */
import { join } from 'node:path'
import { dicomFile, graphsFolder, manifestOf, temporaryFolder, writeModel } from '../../models/testing.ts'
import { type Raylog, startRaylog } from './raylog.ts'

export const [columns, rows] = [48, 32]

/** The rectangle's corners are 10, 6 and 22, 14. @param at index of a pixel, row by row */
export const isBright = (at: number): boolean => {
  const [x, y] = [at % columns, Math.floor(at / columns)]
  return x >= 10 && x < 22 && y >= 6 && y < 14
}

const image = dicomFile({ rows, columns, sample: at => (isBright(at) ? 255 : 40) })

/** The caller closes both, the model's folder last. */
export async function startMarking(set: readonly string[] = []): Promise<{ raylog: Raylog; removeModel: () => void }> {
  const folder = temporaryFolder()
  // The rectangle is a sixteenth of the image, which is bright by its mean.
  const manifest = manifestOf('marks', { input: { width: columns, height: rows }, output: { threshold: 0.1 } })
  writeModel(folder.path, 'marks', manifest, join(graphsFolder, 'marks.onnx'))
  const models = ['models.builtIn=false', `models.folders=[${folder.path}]`, 'models.workers=1']
  return { raylog: await startRaylog({ set: [...models, ...set] }), removeModel: () => folder[Symbol.dispose]() }
}

export interface Marked {
  instance: { id: string; study: string }
  predictions: { id: string; label: string; explanation: string; regions: unknown[] }[]
}

/** Sends the image, and waits for what is said of it. */
export async function sendMarked(raylog: Raylog): Promise<Marked> {
  const form = new FormData()
  form.append('file', new Blob([new Uint8Array(image)]), 'image.dcm')
  return (await (await raylog.post('/api/v1/predictions', form)).json()) as Marked
}
