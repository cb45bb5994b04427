/**
 * What a registry has said, in a folder: one small file for each answer, so that processes which share the folder need not
 * agree, and a torn one costs no other. For a start while the registry is away.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { z } from 'zod'

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

/** @param folder made when there is something to keep */
export function openSchemaCache(folder: string, registry: string, logger: Logger): SchemaCache {
  const ids = new Map<string, number>()
  const texts = new Map<number, string>()
  const keyOf = (subject: string, text: string) => `${subject} ${text}`

  function learn({ id, text, subject }: Omit<Answer, 'registry'>): void {
    texts.set(id, text)
    if (subject !== null) ids.set(keyOf(subject, text), id)
  }

  for (const name of namesIn(folder)) {
    const read = answer.safeParse(parsed(join(folder, name)))
    if (read.success && read.data.registry === registry) learn(read.data)
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

/** Drafts that a crash left are removed. */
function namesIn(folder: string): string[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return [] // nothing was kept yet
  }
  for (const name of names) if (name.endsWith('.draft')) rmSync(join(folder, name), { force: true })
  return names.filter(name => name.endsWith('.json'))
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined // torn, or gone meanwhile: the registry is asked
  }
}
