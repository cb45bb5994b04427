/**
 * C-STORE of a 512 KB CT until acknowledged: Raylog (bytes and event synced before the answer) beside DCMTK's storescp and
 * Orthanc (neither syncs), each at its best (TCP_NODELAY=1), with one sender, in turns: in each round every receiver with every
 * number of associations. The first rounds are told apart: what is not synced costs its receiver nothing until the kernel begins
 * to write it out, half a minute after the first of it. The sender and the CT come from RAYLOG_SHARED (tools/cstore-blast.ts,
 * data/dicom); receivers that are not installed are left out.
 *
 *   node bench/receive.ts [--count 400] [--rounds 12] [--associations 1,4,16]
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { freePort, startRaylog } from '../tests/harness/raylog.ts'
import { until } from '../tests/harness/until.ts'
import { listens } from '../tests/services/servers/server.ts'
import { sharedPath } from '../tests/shared.ts'
import { cpuMsOf } from './cpu.ts'
import { syncedWrites } from './synced-writes.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    count: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '12' },
    associations: { type: 'string', default: '1,4,16' },
  },
})
const execute = promisify(execFile)
const blast = sharedPath('tools/cstore-blast.ts')
const ct = sharedPath('data/dicom/ct-ref-explicit__CT1_UNC.dcm')
if (!blast || !ct) throw new Error('the sender and the CT are not there: set RAYLOG_SHARED')

interface Receiver extends AsyncDisposable {
  name: string
  port: number
  title: string
  pids(): number[]
}

const installed = (command: string) =>
  ['/usr/bin', '/usr/sbin', '/usr/local/bin'].some(folder => existsSync(join(folder, command)))

async function receiver(
  name: string,
  title: string,
  command: string,
  args: (port: number, folder: string) => string[],
): Promise<Receiver> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'raylog-bench-'))
  const child: ChildProcess = spawn(command, args(port, folder), {
    cwd: folder,
    stdio: 'ignore',
    env: { ...process.env, TCP_NODELAY: '1' },
  })
  await until(`${name} listens`, () => listens(port))
  return {
    name,
    port,
    title,
    pids: () => (child.pid === undefined ? [] : [child.pid]),
    async [Symbol.asyncDispose]() {
      const gone = new Promise(done => child.once('exit', done))
      child.kill('SIGKILL')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function orthancConfig(port: number, folder: string): string {
  const file = join(folder, 'orthanc.json')
  const settings = {
    Name: 'bench',
    StorageDirectory: join(folder, 'db'),
    IndexDirectory: join(folder, 'db'),
    DicomPort: port,
    HttpServerEnabled: false,
    DicomAlwaysAllowStore: true,
    DicomCheckCalledAet: false,
    DicomThreadsCount: 16,
    OverwriteInstances: false,
    SynchronousCMove: false,
  }
  writeFileSync(file, JSON.stringify(settings))
  return file
}

async function raylog(): Promise<Receiver> {
  const app = await startRaylog({
    set: [
      'logLevel=warn',
      'stages=[dimse]',
      'dimse.maxAssociationsPerCaller=256',
      'dimse.maxUnassociatedPerAddress=256',
    ],
  })
  return {
    name: 'Raylog (synced)',
    port: app.dicomPort,
    title: 'RAYLOG',
    pids: () => [app.pid],
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

interface Sent {
  perSecond: number
  p99: number
  /** Until the last answer, an instance. */
  cpuMs: number
  /** With what was done behind the answers, an instance. */
  cpuAllMs: number
}

let sent = 0
async function send({ port, title, pids }: Receiver, associations: number): Promise<Sent> {
  const count = Number(flags.count)
  const before = cpuMsOf(pids())
  const args = [blast ?? '', '--port', String(port), '--called', title, '--file', ct ?? '', '--count', String(count)]
  const { stdout } = await execute(process.execPath, [
    ...args,
    '--first',
    String(sent),
    '--associations',
    String(associations),
  ])
  sent += count
  const { perSecond, responseMs }: { perSecond: number; responseMs: { p99: number } } = JSON.parse(stdout)
  const cpuMs = (cpuMsOf(pids()) - before) / count
  return { perSecond, p99: responseMs.p99, cpuMs, cpuAllMs: ((await cpuWhenQuiet(pids)) - before) / count }
}

/** What a receiver does behind its answers is its own cost, and must not be another's: waits until it does nothing more. */
async function cpuWhenQuiet(pids: () => number[]): Promise<number> {
  let last = cpuMsOf(pids())
  for (let quiet = 0; quiet < 3; ) {
    await wait(400)
    const now = cpuMsOf(pids())
    quiet = now - last < 30 ? quiet + 1 : 0
    last = now
  }
  return last
}

await using stack = new AsyncDisposableStack()
const receivers = [stack.use(await raylog())]
if (installed('storescp'))
  receivers.push(
    stack.use(
      await receiver('storescp --fork', 'storescp', 'storescp', (port, folder) => [
        '--fork',
        '+xa',
        '-od',
        folder,
        '--max-pdu',
        '131072',
        String(port),
      ]),
    ),
  )
if (installed('Orthanc'))
  receivers.push(
    stack.use(await receiver('Orthanc', 'Orthanc', 'Orthanc', (port, folder) => [orthancConfig(port, folder)])),
  )

/** What the kernel keeps unwritten for 30 s is of these, on a machine that is fast enough. */
const firstRounds = 3

const associations = flags.associations.split(',').map(Number)
const results = new Map(associations.flatMap(n => receivers.map(({ name }) => [`${n} ${name}`, [] as Sent[]])))
for (let turn = 0; turn < Number(flags.rounds); turn++)
  for (const n of associations)
    for (const one of turn % 2 ? receivers.toReversed() : receivers)
      results.get(`${n} ${one.name}`)?.push(await send(one, n))

const rows: Row[] = associations.flatMap(n =>
  receivers.map(({ name }) => {
    const runs = results.get(`${n} ${name}`) ?? []
    const perSecond = runs.map(run => run.perSecond)
    const others = name === receivers[0]?.name ? receivers.slice(1) : []
    const over = others.map(other => {
      const theirs = results.get(`${n} ${other.name}`) ?? []
      return [
        `over ${other.title}`,
        round(median(perSecond.map((mine, turn) => mine / (theirs[turn]?.perSecond ?? Number.NaN))), 2),
      ]
    })
    return {
      what: `${name}, ${n} association${n > 1 ? 's' : ''}`,
      figures: {
        'instances/s': round(median(perSecond)),
        'in the first rounds': round(median(perSecond.slice(0, firstRounds))),
        ...Object.fromEntries(over),
        'p99 ms': round(median(runs.map(run => run.p99)), 1),
        'CPU ms an instance': round(median(runs.map(run => run.cpuMs)), 2),
        'and behind the answers': round(median(runs.map(run => run.cpuAllMs)), 2),
      },
    }
  }),
)
rows.push(...syncedWrites(statSync(ct).size, 500))
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'receive', rows }))
