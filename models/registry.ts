/**
 * Finds model folders and checks what can be checked without running them: the manifest, the weights' size and digest,
 * and that the parts of the manifest agree. One bad folder does not stop the others; each problem says where and what to do.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, normalize } from 'node:path'
import { RaylogError } from '../schemas/errors.ts'
import type { ModelVersion } from '../schemas/topics.ts'
import { type ModelManifest, modelManifest } from './manifest.ts'
import { manifestProblems } from './manifest-rules.ts'

export const builtInFolder = import.meta.dirname

export interface LoadedModel {
  folder: string
  manifest: ModelManifest
  ref: ModelVersion
  /** Path of the weights, whose size and digest are those of the manifest. */
  weights: string
}

export interface ModelProblem {
  /** File or folder that is at fault. */
  path: string
  reason: string
  remedy: string
  /** Where it could be read. */
  manifest: ModelManifest | null
}

export interface Registry {
  models: LoadedModel[]
  problems: ModelProblem[]
}

export interface RegistryOptions {
  /** Each a model folder (holds model.json), or a folder of model folders. */
  folders: readonly string[]
  builtIn: boolean
  /** Names of the models to load; null loads all. */
  only: readonly string[] | null
}

export const refOf = (manifest: ModelManifest): ModelVersion => ({
  name: manifest.name,
  version: manifest.version,
  digest: manifest.weights.sha256,
  runtime: manifest.runtime,
})

/** What a model version is called where it is named in one word. */
export const nameOf = (model: Pick<ModelVersion, 'name' | 'version'>): string => `${model.name}@${model.version}`

/** @throws RaylogError config-invalid when `only` names a model that no folder holds */
export async function readModels(options: RegistryOptions): Promise<Registry> {
  const found: Registry = { models: [], problems: [] }
  const roots = options.builtIn ? [builtInFolder, ...options.folders] : options.folders
  const folders = (await Promise.all(roots.map(root => modelFolders(root, found.problems)))).flat()
  const wanted = (manifest: ModelManifest) => options.only === null || options.only.includes(manifest.name)
  const read = await Promise.all(folders.map(folder => readFolder(folder, wanted)))

  const taken = new Map<string, string>()
  const seen = new Set<string>()
  for (const one of read) {
    if (one.manifest) seen.add(one.manifest.name)
    if (one.manifest && !wanted(one.manifest)) continue
    found.problems.push(...one.problems)
    if (!one.model) continue
    const name = nameOf(one.model.ref)
    const other = taken.get(name)
    if (other === undefined) {
      taken.set(name, one.model.folder)
      found.models.push(one.model)
    } else {
      const path = join(one.model.folder, 'model.json')
      const reason = `${name} is already in ${other}, which is used`
      found.problems.push({ path, reason, remedy: 'Give one of them another name or version.', manifest: null })
    }
  }
  const missing = options.only?.filter(name => !seen.has(name)) ?? []
  if (missing.length > 0) {
    const known = [...seen].sort().join(', ') || 'none'
    throw new RaylogError('config-invalid', `models.only names ${missing.join(', ')}; the folders hold: ${known}`)
  }
  return found
}

async function modelFolders(root: string, problems: ModelProblem[]): Promise<string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true })
    if (entries.some(entry => entry.name === 'model.json')) return [root]
    const folders = entries.filter(entry => entry.isDirectory() || entry.isSymbolicLink())
    const paths = folders.map(entry => join(root, entry.name)).sort()
    const holds = await Promise.all(paths.map(path => isFile(join(path, 'model.json'))))
    const models = paths.filter((_, at) => holds[at])
    if (models.length === 0) {
      const remedy = 'Put model folders into it (each with a model.json), or take it out of models.folders.'
      problems.push({ path: root, reason: 'there is no model in it', remedy, manifest: null })
    }
    return models
  } catch (thrown) {
    const reason = `the folder cannot be read: ${messageOf(thrown)}`
    problems.push({ path: root, reason, remedy: 'Correct models.folders in the settings.', manifest: null })
    return []
  }
}

interface FolderRead {
  manifest?: ModelManifest
  model?: LoadedModel
  problems: ModelProblem[]
}

async function readFolder(folder: string, wanted: (manifest: ModelManifest) => boolean): Promise<FolderRead> {
  const path = join(folder, 'model.json')
  const parsed = await parseManifest(path)
  if ('problem' in parsed) return { problems: [parsed.problem] }
  const { manifest } = parsed
  if (!wanted(manifest)) return { manifest, problems: [] }
  const problems: ModelProblem[] = manifestProblems(manifest).map(reason => ({
    path,
    reason,
    remedy: 'Correct model.json; CONTRIBUTING.md, "Add a model", says how.',
    manifest,
  }))
  const weights = join(folder, manifest.weights.file)
  const wrong = await weightsProblem(manifest, weights)
  if (wrong) problems.push({ path: weights, ...wrong, manifest })
  if (problems.length > 0) return { manifest, problems }
  return { manifest, problems, model: { folder, manifest, ref: refOf(manifest), weights } }
}

async function parseManifest(path: string): Promise<{ manifest: ModelManifest } | { problem: ModelProblem }> {
  const remedy = 'Correct model.json; CONTRIBUTING.md, "Add a model", says how.'
  try {
    const parsed = modelManifest.safeParse(JSON.parse(await readFile(path, 'utf8')))
    if (parsed.success) return { manifest: parsed.data }
    const reasons = parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`)
    return { problem: { path, reason: reasons.join('; '), remedy, manifest: null } }
  } catch (thrown) {
    return { problem: { path, reason: `it cannot be read as JSON: ${messageOf(thrown)}`, remedy, manifest: null } }
  }
}

async function weightsProblem(manifest: ModelManifest, path: string) {
  const { file, bytes, sha256 } = manifest.weights
  if (isAbsolute(file) || normalize(file).startsWith('..')) {
    return { reason: `weights.file ${file} leads out of the folder`, remedy: 'Put the weights beside model.json.' }
  }
  try {
    const { size } = await stat(path)
    const again = 'Copy the model folder again, or correct weights in model.json if the file is meant.'
    if (size !== bytes)
      return { reason: `${basename(path)} has ${size} bytes, model.json says ${bytes}`, remedy: again }
    const digest = await sha256Of(path)
    if (digest !== sha256) return { reason: `SHA-256 is ${digest}, model.json says ${sha256}`, remedy: again }
    return undefined
  } catch (thrown) {
    return { reason: `the weights cannot be read: ${messageOf(thrown)}`, remedy: 'Copy the model folder again.' }
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}

const isFile = (path: string) =>
  stat(path).then(
    found => found.isFile(),
    () => false,
  )

const messageOf = (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown))

/** A name that is wrong here would put a candidate into production. @throws RaylogError config-invalid */
export function checkStandby(standby: readonly string[], known: readonly { manifest: ModelManifest | null }[]): void {
  const names = known.flatMap(({ manifest }) => (manifest ? [nameOf(manifest)] : []))
  const missing = standby.filter(name => !names.includes(name))
  if (missing.length === 0) return
  const message = `models.standby names ${missing.join(', ')}; the folders hold: ${names.sort().join(', ') || 'none'}`
  throw new RaylogError('config-invalid', message)
}
