/** Thread of the preview pool: reads an object, decodes a frame, makes a picture of it; or what transcoding needs. */
import { readFile } from 'node:fs/promises'
import { type ErrorCode, RaylogError, toRaylogError } from '../../schemas/errors.ts'
import { errno, unreadable } from '../../storage/folder-keys.ts'
import { once } from './codecs/raster.ts'
import { decodeFrame, decodeSamples } from './decode.ts'
import type { PreviewOptions } from './port.ts'
import { toPreview } from './preview.ts'
import { type Recoding, recode } from './transcode/data-set.ts'
import { type FrameTask, nativeFrameOf } from './transcode/frames.ts'

export interface PreviewTask {
  /** A path that this thread can read, or else the bytes. */
  source: string | Uint8Array
  options: PreviewOptions
}

/** Errors cross threads as values: a cloned Error would lose its code. */
export type PreviewResult = { bytes: Uint8Array; photometric?: string } | { code: ErrorCode; message: string }

const loadSharp = once(async () => {
  const { default: sharp } = await import('sharp')
  sharp.concurrency(1) // the pool has a thread for each core already
  sharp.cache(false) // each picture is encoded once; libvips' cache would only hold memory
  return sharp
})

/** What the pool calls by this name. */
export async function makePreview({ source, options }: PreviewTask): Promise<PreviewResult> {
  try {
    const bytes = typeof source === 'string' ? await readObject(source) : source
    const image = toPreview(await decodeFrame(bytes, options.frame ?? 1), options.window)
    const { width, height, channels, data } = image
    const sharp = await loadSharp()
    const full = sharp(data, { raw: { width, height, channels } })
    const { size, box = size === undefined ? undefined : { width: size, height: size } } = options
    const fit = { fit: 'inside', withoutEnlargement: true } as const
    const sized = box === undefined ? full : full.resize(box.width, box.height, fit)
    const coloured = sized.toColourspace(channels === 1 ? 'b-w' : 'srgb')
    const encoded =
      options.format === 'jpeg'
        ? coloured.jpeg({ quality: options.quality ?? 90, chromaSubsampling: '4:4:4' })
        : coloured.png({ compressionLevel: 4 })
    return { bytes: new Uint8Array(await encoded.toBuffer()) }
  } catch (thrown) {
    const { code, message } = toRaylogError(thrown)
    return { code, message }
  }
}

/** One frame's samples, uncompressed (images.ts calls it by this name). */
export async function makeFrame({ source, options }: PreviewTask): Promise<PreviewResult> {
  try {
    const bytes = typeof source === 'string' ? await readObject(source) : source
    return { bytes: new Uint8Array(await decodeSamples(bytes, options.frame ?? 1)) }
  } catch (thrown) {
    const { code, message } = toRaylogError(thrown)
    return { code, message }
  }
}

/** A data set in another encoding (transcode/data-set.ts). */
export function recodeDataSet(task: Recoding): PreviewResult {
  try {
    return { bytes: new Uint8Array(recode(task)) }
  } catch (thrown) {
    const { code, message } = toRaylogError(thrown)
    return { code, message }
  }
}

/** One compressed frame, uncompressed (transcode/frames.ts). */
export async function decodeEncodedFrame(task: FrameTask): Promise<PreviewResult> {
  try {
    const { samples, photometric } = await nativeFrameOf(task)
    return { bytes: new Uint8Array(samples), photometric }
  } catch (thrown) {
    const { code, message } = toRaylogError(thrown)
    return { code, message }
  }
}

async function readObject(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (thrown) {
    if (errno(thrown) === 'ERR_FS_FILE_TOO_LARGE')
      throw new RaylogError('too-large', 'the object does not fit into memory', { cause: thrown })
    throw unreadable(path, thrown)
  }
}
