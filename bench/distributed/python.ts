/** The ordinary alternative (bench/baselines) as a contender: a process for each core, in a virtual environment of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { z } from 'zod'
import { subjectOf } from '../../kafka/codec.ts'
import { topics } from '../../schemas/topics.ts'
import { until } from '../../tests/harness/until.ts'
import type { Scenario } from '../engine/scenarios.ts'
import { type Contender, partitions as partitionsOfRaylog } from './contenders.ts'
import type { Ground } from './ground.ts'

const folder = join(import.meta.dirname, '../baselines')
const execute = promisify(execFile)

/** Installed once for these requirements. @returns the interpreter @throws where there is no Python, or no registry of it */
export async function pythonOf(): Promise<string> {
  const requirements = join(folder, 'requirements.txt')
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const environment = join(import.meta.dirname, '../out', `venv-${digest}`)
  const python = join(environment, 'bin/python')
  if (existsSync(join(environment, 'done'))) return python
  rmSync(environment, { recursive: true, force: true })
  await execute('python3', ['-m', 'venv', environment])
  await execute(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements])
  await execute('touch', [join(environment, 'done')])
  return python
}

const said = z.object({ assigned: z.int() })
/** As many as Raylog's, or the next number that all of them have the same share of. */
const partitionsFor = (processes: number) => Math.ceil(partitionsOfRaylog / processes) * processes

export async function pythonContender(
  ground: Ground,
  scenario: Scenario,
  { python, processes }: { python: string; processes: number },
): Promise<Contender> {
  await using starting = new AsyncDisposableStack()
  const { services, bucket } = ground
  const { manifest, weights } = scenario
  const database = `baseline_${manifest.name}`
  const topic = `bench.instances.${manifest.name}`
  const into = `bench.predictions.${manifest.name}`
  const partitions = partitionsFor(processes)
  await ground.ensureTopics([topic, into], partitions)
  await ground.index(database, ['instances', 'studies', 'worklist', 'predictions'])
  const options = {
    brokers: services.kafka.brokers.join(','),
    registry: services.registry.url,
    subject: subjectOf(topics.predictions),
    mongo: services.mongo.url,
    s3: { endpoint: new URL(services.s3.url).host, bucket, ...keysOf(services.s3) },
    ...{ from: topic, into, database },
    model: {
      ...{ weights, name: manifest.name, version: manifest.version, runtime: 'onnx' },
      digest: manifest.weights.sha256,
      input: manifest.input.name,
      output: manifest.output.name,
      width: manifest.input.width,
      height: manifest.input.height,
    },
  }
  const shares = new Map<number, number>()
  let ended: string | undefined
  const children: ChildProcess[] = []
  starting.defer(async () => {
    await Promise.all(children.map(endOf))
  })
  for (let n = 0; n < processes; n++) {
    const child = spawn(python, [join(folder, 'consumer.py'), JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // numpy's threads would take cores from the sessions.
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', ORT_DISABLE_TELEMETRY: '1' },
    })
    children.push(child)
    child.once('exit', code => {
      ended = `a consumer ended with ${code}`
    })
    createInterface({ input: child.stdout }).on('line', line => {
      shares.set(n, said.parse(JSON.parse(line)).assigned)
    })
  }
  await until('the consumers share the partitions', () => {
    if (ended) throw new Error(ended)
    const found = [...shares.values()]
    return found.length === processes && found.every(count => count === partitions / processes)
  })
  const before = await ground.documents(database, 'predictions')
  const running = starting.move()
  return {
    topic,
    async done() {
      if (ended) throw new Error(ended)
      return (await ground.documents(database, 'predictions')) - before
    },
    isLevel: async () =>
      (await ground.documents(database, 'predictions')) === (await ground.documents(database, 'instances')),
    pids: () => children.flatMap(({ pid }) => pid ?? []),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

const keysOf = ({ accessKey, secretKey }: { accessKey: string; secretKey: string }) => ({ accessKey, secretKey })

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise<void>(done => child.once('exit', () => done()))
  child.kill('SIGKILL')
  await exited
}
