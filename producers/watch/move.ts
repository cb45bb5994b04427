/** Puts files away without ever replacing one that is there. */
import { copyFile, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'

const errno = (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? thrown.code : undefined)

/** Names of files have 255 bytes on most systems; ours may become `NAME-123.EXT.error.json.part`. */
const maxNameBytes = 230

function shortened(path: string) {
  const { dir, name, ext } = parse(path)
  if (Buffer.byteLength(name + ext) <= maxNameBytes) return { dir, name, ext }
  const end = Buffer.byteLength(ext) <= 16 ? ext : ''
  let kept = name
  while (Buffer.byteLength(kept + end) > maxNameBytes) kept = kept.slice(0, -1)
  return { dir, name: kept.toWellFormed(), ext: end }
}

/** Makes an empty file of a name that is free: `x.png`, `x-2.png`, `x-3.png` … */
async function reserve(wanted: string): Promise<string> {
  await mkdir(dirname(wanted), { recursive: true })
  const { dir, name, ext } = shortened(wanted)
  for (let number = 1; ; number++) {
    const path = number === 1 ? join(dir, `${name}${ext}`) : join(dir, `${name}-${number}${ext}`)
    try {
      await (await open(path, 'wx')).close()
      return path
    } catch (thrown) {
      if (errno(thrown) !== 'EEXIST') throw thrown
    }
  }
}

/** @returns where it is now */
export async function moveAway(from: string | Buffer, wanted: string): Promise<string> {
  const to = await reserve(wanted)
  try {
    await rename(from, to)
  } catch (thrown) {
    if (errno(thrown) !== 'EXDEV') {
      await unlink(to)
      throw thrown
    }
    await copyFile(from, to)
    await unlink(from)
  }
  return to
}
