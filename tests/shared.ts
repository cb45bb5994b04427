/** Where real data for tests is, if it is there. Tests that need it skip with the reason in their title. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const root = process.env.RAYLOG_SHARED ?? resolve(import.meta.dirname, '../../shared')

/** Path below the shared data folder; undefined where it does not exist. */
export function sharedPath(...parts: string[]): string | undefined {
  const path = resolve(root, ...parts)
  return existsSync(path) ? path : undefined
}
