/**
 * npm run bench [-- NAMES…] [--quick] [--write]: every benchmark in a process of its own, one after another; the tables,
 * the machine and the date. `--write` puts them into bench/README.md; the figures as JSON are in bench/out/results.json.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { markdown, type Row } from './table.ts'

interface Bench {
  name: string
  title: string
  /** What to read the figures by. */
  note: string
  args: string[]
  quick: string[]
}

const benches: Bench[] = [
  {
    name: 'receive',
    title: 'C-STORE of a 512 KB CT until acknowledged',
    note: 'Raylog answers when bytes and event are synced to disk; storescp and Orthanc (both with TCP_NODELAY=1) sync nothing. One sender for all, on the same machine, in turns; medians.',
    args: ['--rounds', '3', '--count', '500'],
    quick: ['--rounds', '1', '--count', '200'],
  },
  {
    name: 'pipeline',
    title: 'The pipeline against the runtime alone',
    note: 'Instances already on the log until their predictions are in the documents, over bare session.run() in as many single-threaded processes, in turns; medians.',
    args: ['--rounds', '3', '--seconds', '3'],
    quick: ['--rounds', '1', '--seconds', '2'],
  },
  {
    name: 'latency',
    title: 'Latency that Raylog adds',
    note: 'From the acknowledgement of a radiograph over C-STORE to its live message on a dashboard, less the run of the model, at half of the capacity found just before (reports made, everything on).',
    args: ['--seconds', '15'],
    quick: ['--seconds', '5'],
  },
  {
    name: 'log',
    title: 'The embedded log',
    note: 'Records of 600 bytes; every append is synced to disk before it is answered.',
    args: [],
    quick: ['--events', '100000', '--seconds', '1'],
  },
  {
    name: 'soak',
    title: 'Start, and memory over many instances',
    note: 'Resident memory of the process and its workers together; predictions, documents and PDF reports all made.',
    args: [],
    quick: ['--instances', '2000'],
  },
]

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
})

const result = z.object({
  bench: z.string(),
  rows: z.array(z.object({ what: z.string(), figures: z.record(z.string(), z.union([z.number(), z.string()])) })),
})

/** Runs one, shows what it prints as it comes, and gives the rows of its last line. */
async function run({ name, args, quick }: Bench): Promise<Row[]> {
  const script = join(import.meta.dirname, `${name}.ts`)
  const child = spawn(process.execPath, [script, ...(flags.quick ? quick : args)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const code = await new Promise<number | null>(done => child.once('exit', done))
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${out}`)
  return result.parse(JSON.parse(out.trim().split('\n').at(-1) ?? '')).rows
}

const machine = {
  date: new Date().toISOString().slice(0, 10),
  cpu: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: `${type()} ${release()}`,
  node: process.version,
  load: loadavg()
    .map(load => load.toFixed(1))
    .join(' / '),
}
const chosen = positionals.length > 0 ? benches.filter(({ name }) => positionals.includes(name)) : benches
const sections: string[] = []
const results: Record<string, Row[]> = {}
for (const bench of chosen) {
  const rows = await run(bench)
  results[bench.name] = rows
  const section = `## ${bench.title}\n\n${bench.note}\n\n${markdown(rows)}\n`
  console.log(section)
  sections.push(section)
}
mkdirSync(join(import.meta.dirname, 'out'), { recursive: true })
writeFileSync(join(import.meta.dirname, 'out/results.json'), JSON.stringify({ machine, results }, null, 2))
if (flags.write) {
  const file = join(import.meta.dirname, 'README.md')
  const page = readFileSync(file, 'utf8')
  const [before, after] = [page.split('<!-- figures -->')[0], page.split('<!-- end of figures -->')[1]]
  const where = `Measured on ${machine.date}: ${machine.cpu}, ${machine.memory}, ${machine.system}, Node ${machine.node}; load of the machine before it began ${machine.load} (1, 5, 15 minutes).`
  writeFileSync(
    file,
    `${before}<!-- figures -->\n\n${where}\n\n${sections.join('\n')}\n<!-- end of figures -->${after}`,
  )
}
