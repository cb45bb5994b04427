/** Settings from raylog.yaml, then RAYLOG_* variables, then flags; the later one wins. Checking them is compile's work. */
import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { type PlatformConfig, platformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'

type Settings = { [key: string]: unknown }

export interface SettingSources {
  /** Path of the file; null looks for raylog.yaml in the working folder and goes on without one. */
  file: string | null
  env: Readonly<Record<string, string | undefined>>
  /** `path=value`, as in `http.port=9000`; values are read as YAML. */
  set: readonly string[]
}

/** Names of stages that have a dash, as variables have them. */
const dashed = new Map([['assessStudy', 'assess-study']])

/** Variables that are for tools around Raylog, not settings. */
const notSettings = new Set(['RAYLOG_SHARED'])

/** @throws RaylogError config-invalid when the file is missing or not YAML */
export function readSettings({ file, env, set }: SettingSources): Settings {
  const settings = fromFile(file)
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('RAYLOG_') || value === undefined || notSettings.has(name)) continue
    const [section = '', ...rest] = name.slice('RAYLOG_'.length).split('__').map(camel)
    put(settings, [dashed.get(section) ?? section, ...rest], scalar(value))
  }
  for (const pair of set) {
    const at = pair.indexOf('=')
    if (at < 1) throw new RaylogError('config-invalid', `--set ${pair}: write it as path=value`)
    put(settings, pair.slice(0, at).split('.'), scalar(pair.slice(at + 1)))
  }
  return settings
}

/**
 * What commands need that start no stages; the stages' own sections are not looked at.
 * @throws RaylogError config-invalid, a line for each problem
 */
export function platformSettings(sources: SettingSources): PlatformConfig {
  const parsed = platformConfig.strip().safeParse(readSettings(sources))
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new RaylogError('config-invalid', lines.join('\n'))
}

function fromFile(file: string | null): Settings {
  const path = file ?? 'raylog.yaml'
  if (!existsSync(path)) {
    if (file === null) return {}
    throw new RaylogError('config-invalid', `${path}: there is no such file; check --config`)
  }
  let content: unknown
  try {
    content = parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new RaylogError('config-invalid', `${path}: not YAML: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
  if (content === null) return {}
  if (!isSettings(content)) throw new RaylogError('config-invalid', `${path}: must hold settings by name`)
  return content
}

const isSettings = (value: unknown): value is Settings =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** MAX_UPLOAD_BYTES → maxUploadBytes */
const camel = (name: string) => name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

function scalar(text: string): unknown {
  try {
    return parse(text)
  } catch {
    // Not YAML by itself, such as a value that begins with "@": it means what it says.
    return text
  }
}

function put(settings: Settings, path: readonly string[], value: unknown): void {
  const last = path.at(-1)
  if (last === undefined) return
  let inner = settings
  for (const key of path.slice(0, -1)) {
    const next = inner[key]
    if (isSettings(next)) inner = next
    else {
      const fresh: Settings = {}
      inner[key] = fresh
      inner = fresh
    }
  }
  inner[last] = value
}
