/**
 * What a registry has said, in a folder: one small file for each answer, so that processes which share the folder need not
 * agree, and a torn one costs no other. For a start while the registry is away.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Clock } from '../../monitoring/clock.ts'

const answer = z.strictObject({
  /** Base address of the registry that said it: another one gives other ids. */
  registry: z.string(),
  id: z.int().min(0),
  text: z.string(),
  /** Whose id it is for those who write; null: the id was asked for by a reader. */
  subject: z.string().nullable(),
})
type Answer = z.infer<typeof answer>

export interface SchemaCache {
  idOf(subject: string, text: string): number | undefined
  textOf(id: number): string | undefined
  /** Never throws: without the file the registry is asked again. */
  keep(said: Omit<Answer, 'registry'>): void
}

/** A draft is there for a moment; one that is older than this was left by a crash, and is nobody's work, ms. */
const draftMs = 3_600_000

export interface CacheSurroundings {
  clock: Pick<Clock, 'now'>
  logger: Logger
}

/** @param folder made when there is something to keep */
export function openSchemaCache(folder: string, registry: string, { clock, logger }: CacheSurroundings): SchemaCache {
  const ids = new Map<string, number>()
  const texts = new Map<number, string>()
  const keyOf = (subject: string, text: string) => `${subject} ${text}`

  function learn({ id, text, subject }: Omit<Answer, 'registry'>): void {
    texts.set(id, text)
    if (subject !== null) ids.set(keyOf(subject, text), id)
  }

  const names = namesIn(folder)
  removeDrafts(names)
  for (const name of names) {
    if (!name.endsWith('.json')) continue
    const read = answer.safeParse(parsed(join(folder, name)))
    if (read.success && read.data.registry === registry) learn(read.data)
  }

  function removeDrafts(names: readonly string[]): void {
    for (const name of names) {
      if (!name.endsWith('.draft')) continue
      const path = join(folder, name)
      try {
        if (statSync(path).mtimeMs < clock.now() - draftMs) rmSync(path, { force: true })
      } catch (error) {
        logger.debug({ err: error, path }, 'a draft of a schema is not removed')
      }
    }
  }

  return {
    idOf: (subject, text) => ids.get(keyOf(subject, text)),
    textOf: id => texts.get(id),
    keep(said) {
      const known = said.subject === null ? texts.has(said.id) : ids.get(keyOf(said.subject, said.text)) === said.id
      if (known) return
      learn(said)
      const whole: Answer = { registry, ...said }
      const name = createHash('sha256')
        .update(JSON.stringify([registry, said.subject, said.text]))
        .digest('hex')
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        const draft = join(folder, `${randomUUID()}.draft`)
        writeFileSync(draft, JSON.stringify(whole), { mode: 0o600, flush: true })
        renameSync(draft, join(folder, `${name}.json`))
      } catch (error) {
        logger.warn({ err: error, folder }, 'a schema is not kept: the next start needs the registry')
      }
    },
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // nothing was kept yet
  }
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined // torn, or gone meanwhile: the registry is asked
  }
}
