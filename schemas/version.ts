/** Which Raylog this is. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** From package.json, read at each start and not at import. */
export function ownVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return z.looseObject({ version: z.string() }).parse(JSON.parse(text)).version
}
