/** raylog doctor: checks what Raylog needs, and says what to do about what is missing. */
import { existsSync } from 'node:fs'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { compile, type Plan } from '../../kafka/compile.ts'
import { type LoadedModel, nameOf, readModels, refOf } from '../../models/registry.ts'
import { startWorker } from '../../models/runtime/process.ts'
import type { Opened } from '../../models/runtime/protocol.ts'
import { availableProviders } from '../../models/runtime/providers.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import { runningFile } from '../running.ts'
import { readSettings, type SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'
import { table } from '../table.ts'

type Verdict = 'ok' | 'note' | 'wrong'
interface Finding {
  verdict: Verdict
  what: string
  detail: string
}

const oldestNode = 24
const littleSpaceBytes = 2e9

/** @returns the exit status: 0, or 1 when something is wrong */
export async function doctor(sources: SettingSources): Promise<number> {
  const findings: Finding[] = [checkNode(process.versions.node)]
  let plan: Plan | undefined
  try {
    plan = compile(allStages, readSettings(sources))
    findings.push({ verdict: 'ok', what: 'settings', detail: 'valid' })
  } catch (error) {
    findings.push({ verdict: 'wrong', what: 'settings', detail: toRaylogError(error).message })
  }
  if (plan) {
    findings.push(await checkFolder(plan.config.data), ...(await checkPorts(plan)))
    findings.push(await checkProviders(plan), ...(await checkModels(plan)))
  }
  const marks: Record<Verdict, string> = { ok: 'ok', note: 'note', wrong: 'WRONG' }
  console.log(table(findings.map(({ verdict, what, detail }) => [marks[verdict], what, detail])))
  const wrong = findings.filter(({ verdict }) => verdict === 'wrong').length
  console.log(wrong === 0 ? '\nAll is well.' : `\n${wrong} to mend.`)
  return wrong === 0 ? 0 : 1
}

/** @param version as `process.versions.node` has it */
export function checkNode(version: string): Finding {
  const major = Number(version.split('.')[0])
  return major >= oldestNode
    ? { verdict: 'ok', what: 'node', detail: `v${version}` }
    : {
        verdict: 'wrong',
        what: 'node',
        detail: `v${version} is too old; start through npm ("npm run raylog -- doctor"), which brings Node ${oldestNode}`,
      }
}

async function checkFolder(data: string): Promise<Finding> {
  try {
    await mkdir(data, { recursive: true, mode: 0o700 })
    const probe = join(data, `.doctor-${process.pid}`)
    await writeFile(probe, 'ok')
    await rm(probe)
    const { bavail, bsize } = await statfs(data)
    const free = bavail * bsize
    const detail = `${data}: writable, ${(free / 1e9).toFixed(1)} GB free`
    return free > littleSpaceBytes
      ? { verdict: 'ok', what: 'data folder', detail }
      : { verdict: 'note', what: 'data folder', detail: `${detail}: little; senders are refused when it is full` }
  } catch (error) {
    const { message } = toRaylogError(error)
    return { verdict: 'wrong', what: 'data folder', detail: `${data}: ${message}; choose another with --data` }
  }
}

async function checkPorts({ config, stages }: Plan): Promise<Finding[]> {
  const running = existsSync(join(config.data, runningFile))
  const dimse = stages.find(({ stage }) => stage.name === 'dimse')?.config
  const dicomPort = typeof dimse === 'object' && dimse !== null && 'port' in dimse ? Number(dimse.port) : undefined
  const ports: [string, number | undefined][] = [
    ['page', config.http.port],
    ['DICOM', dicomPort],
  ]
  return Promise.all(ports.flatMap(([name, port]) => (port === undefined ? [] : [checkPort(name, port, running)])))
}

async function checkPort(name: string, port: number, running: boolean): Promise<Finding> {
  if (await isFree(port)) return { verdict: 'ok', what: `${name} port`, detail: `${port} is free` }
  return {
    verdict: 'note',
    what: `${name} port`,
    detail: running
      ? `${port} is in use, by the Raylog on this folder`
      : `${port} is in use; the next free one will be taken`,
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

async function checkProviders({ config }: Plan): Promise<Finding> {
  const there = await availableProviders()
  const missing = config.models.providers.filter(name => !there.includes(name))
  const detail = `${config.models.providers.join(', ')} asked for; here: ${there.join(', ')}`
  if (missing.length === 0) return { verdict: 'ok', what: 'ONNX Runtime', detail }
  return {
    verdict: 'note',
    what: 'ONNX Runtime',
    detail: `${detail}; without ${missing.join(', ')} the next in order is used (README, "GPU")`,
  }
}

async function checkModels({ config }: Plan): Promise<Finding[]> {
  const { models, problems } = await readModels(config.models)
  if (models.length + problems.length === 0)
    return [{ verdict: 'note', what: 'models', detail: 'none: images are stored and shown, not analysed' }]
  const wrong = problems.map(
    ({ path, reason, remedy }): Finding => ({
      verdict: 'wrong',
      what: 'model folder',
      detail: `${path}: ${reason}; ${remedy}`,
    }),
  )
  const opened = await openAll(models, config.models)
  const tried = models.map(({ manifest, folder }, at): Finding => {
    const what = `model ${nameOf(manifest)}`
    const one = opened[at]
    return one?.ok
      ? { verdict: 'ok', what, detail: `${manifest.title}, sha256 ${refOf(manifest).digest.slice(0, 12)}` }
      : { verdict: 'wrong', what, detail: `${join(folder, 'model.json')}: ${one?.reason ?? 'no answer'}` }
  })
  return [...wrong, ...tried]
}

/** As `start` does it: a worker loads each graph, holds it against its manifest and runs it once. */
async function openAll(models: readonly LoadedModel[], settings: Plan['config']['models']): Promise<readonly Opened[]> {
  if (models.length === 0) return []
  const { promise, resolve } = Promise.withResolvers<readonly Opened[]>()
  const open = {
    type: 'open' as const,
    models: models.map(({ manifest, weights }) => ({ manifest, weights })),
    threads: settings.threadsPerWorker,
    fetchMs: settings.budgetMs,
    providers: settings.providers,
  }
  const worker = startWorker(Promise.resolve(open), {
    opened: resolve,
    done: () => undefined,
    ended: reason => resolve(models.map(() => ({ ok: false, reason: `no worker could be started: ${reason}` }))),
  })
  try {
    return await promise
  } finally {
    worker.kill()
  }
}
