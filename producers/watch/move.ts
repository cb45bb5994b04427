/** Puts files away without ever replacing one that is there. */
import { copyFile, mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, join, parse } from 'node:path'

const errno = (thrown: unknown) => (thrown instanceof Error && 'code' in thrown ? thrown.code : undefined)

/** Makes an empty file of a name that is free: `x.png`, `x-2.png`, `x-3.png` … */
async function reserve(wanted: string): Promise<string> {
  await mkdir(dirname(wanted), { recursive: true })
  const { dir, name, ext } = parse(wanted)
  for (let number = 1; ; number++) {
    const path = number === 1 ? wanted : join(dir, `${name}-${number}${ext}`)
    try {
      await (await open(path, 'wx')).close()
      return path
    } catch (thrown) {
      if (errno(thrown) !== 'EEXIST') throw thrown
    }
  }
}

/** @returns where it is now */
export async function moveAway(from: string, wanted: string): Promise<string> {
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
