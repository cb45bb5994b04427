/** What somebody sees who opens an object of a PACS: Orthanc's own renderings, poppler and DCMTK's. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import type { Orthanc } from './orthanc.ts'

const run = promisify(execFile)

export const viewerTools = ['dsr2html', 'pdftotext']

export interface Seen {
  width: number
  height: number
  /** Standard deviation of the channel that varies most, of 255: 0 is a blank picture. */
  contrast: number
  /** Of the first channel, 0 to 255, row by row. */
  pixels: Uint8Array
}

/** @param folder for the files that the tools read */
export function viewerOf(orthanc: Orthanc, folder: string) {
  return {
    /** The picture that Orthanc makes of an image. */
    async picture(id: string): Promise<Seen> {
      const png = await orthanc.bytes(`/instances/${id}/preview`)
      const { data, info } = await sharp(png).extractChannel(0).raw().toBuffer({ resolveWithObject: true })
      const { channels } = await sharp(png).stats()
      const contrast = Math.max(...channels.map(({ stdev }) => stdev))
      return { width: info.width, height: info.height, contrast, pixels: data }
    },
    /** The words of an encapsulated PDF, as Orthanc unwraps it. */
    async pdfText(id: string): Promise<string> {
      const path = join(folder, `${id}.pdf`)
      await writeFile(path, await orthanc.bytes(`/instances/${id}/pdf`))
      return (await run('pdftotext', ['-layout', path, '-'])).stdout
    },
    /** A structured report as a page, without its tags. */
    async reportText(id: string): Promise<string> {
      const path = join(folder, `${id}.dcm`)
      await writeFile(path, await orthanc.bytes(`/instances/${id}/file`))
      const { stdout } = await run('dsr2html', ['+U8', path], { maxBuffer: 16 * 1024 * 1024 })
      return stdout.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')
    },
  }
}
