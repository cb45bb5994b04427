/** raylog export: the log, or a part of it, as one file. */
import { createWriteStream, existsSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Exported, exportLog } from '../../kafka/archive/export.ts'
import { CallError } from '../call-error.ts'
import { openLogAlone } from '../log.ts'
import { progress } from '../progress.ts'
import type { SettingSources } from '../settings.ts'
import { timeOf } from '../time.ts'

export interface ExportFlags {
  topics?: string
  from?: string
  to?: string
}

/** The file is there whole or not at all. */
export async function exportTo(sources: SettingSources, file: string, flags: ExportFlags): Promise<void> {
  const [from, to] = [timeOf('--from', flags.from), timeOf('--to', flags.to)]
  if (existsSync(file)) throw new CallError(`${file} is there already.`, 'Give another name, or move it away.')
  await using opened = await openLogAlone(sources, { make: false })
  const tell = progress('exported')
  const stream = exportLog(opened.log, {
    now: Date.now(),
    onProgress: tell.at,
    ...(flags.topics === undefined ? {} : { topics: flags.topics.split(',').map(name => name.trim()) }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  })
  const draft = `${file}.part`
  const result: { exported?: Exported } = {}
  try {
    const counted = async function* () {
      result.exported = yield* stream
    }
    await pipeline(counted, createGzip({ level: 6 }), createWriteStream(draft, { mode: 0o600 }))
    await sync(draft)
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  const { records = 0, unknownSchemas = 0 } = result.exported ?? {}
  const { size } = await stat(file)
  tell.done(`${records} records, ${size} bytes, in ${file}.`)
  if (unknownSchemas > 0)
    console.log(`${unknownSchemas} of them have a schema that nobody knows; they are as they were.`)
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
