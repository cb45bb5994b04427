/**
 * npm run bench [-- NAMES…] [--quick] [--write]: every benchmark in a process of its own, one after another; the tables,
 * the machine and the date. `--write` puts them into bench/README.md, each in its place: those of others stay as they are.
 * The figures as JSON are in bench/out/results.json. One that lacks what it needs here is left out, saying so.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type Aim, verdict } from './aims.ts'
import { markdown, type Row } from './table.ts'

interface Bench {
  name: string
  title: string
  /** What to read the figures by. */
  note: string
  args: string[]
  quick: string[]
  aims?: Aim[]
}

const benches: Bench[] = [
  {
    name: 'receive',
    title: 'C-STORE of a 512 KB CT until acknowledged',
    note: 'Raylog answers when bytes and event are synced to disk; storescp and Orthanc (both with TCP_NODELAY=1) sync nothing: what that saves them holds until the kernel begins to write, half a minute later, so the first three rounds are told apart. One sender for all, on the same machine, in turns; medians, of the quotients of each turn too.',
    args: ['--rounds', '12', '--count', '400'],
    quick: ['--rounds', '1', '--count', '200'],
    aims: [
      { rows: 'Raylog', figure: 'over storescp', least: 0.8 },
      { rows: 'Raylog', figure: 'over Orthanc', least: 1.5 },
    ],
  },
  {
    name: 'study',
    title: 'A CT of 324 slices, from its first byte to complete and analysed',
    note: 'Sent over C-STORE to a Raylog with everything on; a rule says that 324 images are the whole, so the wait of a study whose number nobody announced (`assess-study.idleMs`) comes on top. Medians.',
    args: ['--rounds', '3'],
    quick: ['--rounds', '1', '--slices', '100'],
  },
  {
    name: 'pipeline',
    title: 'The pipeline against the runtime alone',
    note: 'Instances already on the log until their predictions are in the documents, over bare session.run() in as many single-threaded processes, in turns; medians. What the batcher gains is in the rows of the trained models: images of one batch share calls. That 32 of breast at a time gain little over 8 lies in the rest: an image of it is decoded and resized to 224x224 one by one, which takes several times as long as the model. Of digits, small DICOM that need little of both, the model is most of what a worker does.',
    args: ['--rounds', '3', '--seconds', '8'],
    quick: ['--rounds', '1', '--seconds', '2', '--images', '40'],
  },
  {
    name: 'latency',
    title: 'Latency that Raylog adds',
    note: 'From the acknowledgement of a radiograph over C-STORE to its live message on a dashboard, less the run of the model, at half of the capacity found just before. The capacity is what comes all the way through: in the first row each radiograph is a study of its own and gets every report that a study can have, which is nearly all of the work, so that it is far below the predictions a second of the same flood. The second row has the reports of studies off (`report.formats=[]`; the page of each image is made) and runs for a minute, so that its p99 rests on more than 1,000 images.',
    args: ['--seconds', '15', '--plain-seconds', '60'],
    quick: ['--seconds', '5', '--plain-seconds', '5', '--flood', '150'],
  },
  {
    name: 'log',
    title: 'The embedded log',
    note: 'Records of 600 bytes; every append is synced to disk before it is answered.',
    args: [],
    quick: ['--events', '100000', '--seconds', '1'],
  },
  {
    name: 'decode',
    title: 'Decoding',
    note: 'Megapixels in a second of CPU time, one thread, from the bytes of a file to samples as stored; pydicom with pylibjpeg and GDCM, as it chooses by itself. Needs the folder that RAYLOG_SHARED names.',
    args: ['--seconds', '3'],
    quick: ['--seconds', '1'],
  },
  {
    name: 'qido',
    title: 'QIDO-RS over 1,000,000 instances',
    note: 'The embedded store: 10,000 studies of 4 series of 25 instances; over HTTP, one request after another. The last two are there to show what is not looked up by an index.',
    args: [],
    quick: ['--instances', '100000', '--requests', '50'],
  },
  {
    name: 'distributed',
    title: 'Distributed mode against the runtime alone',
    note: "Instances already on Kafka until their predictions are documents, by one process of `infer` and `persist` with a worker for each core, over bare session.run() in as many single-threaded processes, in turns; medians. Kafka, a server of MongoDB's protocol and S3 run on the same cores.",
    args: ['--rounds', '3', '--seconds', '5'],
    quick: ['--rounds', '1', '--seconds', '3'],
    aims: [
      { rows: 'ResNet-50', figure: 'ratio', least: 0.9 },
      { rows: 'SqueezeNet', figure: 'ratio', least: 0.75 },
    ],
  },
  {
    name: 'distributed-latency',
    title: 'Latency that Raylog adds in distributed mode',
    note: 'As above, in the processes of docker-compose.yml, with Kafka, documents and S3 on the same cores. Each row goes on until its p99 rests on more than 1,000 images; the second has the reports of studies off (`report.formats=[]`; the page of each image is made).',
    args: [],
    quick: ['--images', '40', '--flood', '150'],
    aims: [{ figure: 'p99 ms', most: 100 }],
  },
  {
    name: 'baselines',
    title: 'Distributed mode beside the ordinary alternative',
    note: 'A Python consumer in as many processes as cores ([bench/baselines](baselines/README.md)) does the same work on the same broker, registry, S3 and documents, in turns; medians. Below them Raylog divided by Python, and the most that could be: the CPU time of the runtime and of the services alone, as if nothing else cost any.',
    args: ['--rounds', '3', '--seconds', '5'],
    quick: ['--rounds', '1', '--seconds', '3', '--only', 'SqueezeNet, 512'],
  },
  {
    name: 'runner',
    title: "The runner's own ceiling",
    note: 'Events a second through a stage whose handler does nothing, beside the bare client of each log: pages of EventLog.read, and a kafkajs consumer; and beside the same with each record decoded. From the first record on: what it takes to connect, to join a group and to open a stage is not in it. In turns; medians.',
    args: [],
    quick: ['--events', '200000', '--rounds', '1'],
  },
  {
    name: 'replay',
    title: 'Replays',
    note: 'Images a second of a replay while nothing else runs, over the engine and over the runtime alone; then live images at half of the capacity, alone and beside a replay: from the acknowledgement to the live message on a dashboard. In distributed mode the replay is a process of its own, on the same cores as all others and the services. In turns; medians, and quantiles over all images of all turns. Aims: 0.95 of the runtime, and 1.5 times the p99.',
    args: ['--rounds', '3', '--images', '300', '--seconds', '30'],
    quick: ['--rounds', '1', '--images', '100', '--seconds', '3', '--past', '200'],
  },
  {
    name: 'start',
    title: 'Start',
    note: 'From the command to the link to the page. In clean clones of what is committed, each with its own `npm ci`, by `npm start`: the first start builds the page too, the second finds it built. Below it the process itself, without npm.',
    args: [],
    quick: ['--clones', '1', '--starts', '3'],
  },
  {
    name: 'soak',
    title: 'Memory over many instances',
    note: 'Resident memory of the process and its workers together, and what is live in the main process after a full collection; predictions, documents, assessments of studies and a PDF of each prediction all made.',
    args: [],
    quick: ['--instances', '2000'],
  },
  {
    name: 'deliver',
    title: 'What a slow destination costs the others',
    note: 'Reports to a FHIR server, a DICOMweb server, an HL7 receiver and a folder, 50 a second in all, from the reading of their event to their arrival, with default settings; in turns of two seconds while the backlog of a PACS stands still and while it goes at 100 ms an association, and before that while nothing waits. The difference is of all turns together, with 95 % intervals by the bootstrap over pairs of turns. Aim: 10 ms at p99.',
    args: [],
    quick: ['--rounds', '1', '--turns', '5', '--turn-ms', '1000', '--backlog', '200'],
  },
  {
    name: 'notify',
    title: 'A notification by mail',
    note: 'From a prediction, before it is put on the log, to the SMTP server having its mail: through the append that is synced, the runner, rules, recipients and the record of what was sent. A connection is made anew after 100 mails, and this server waits 100 ms before it greets: that is most of the p99. Aim: 250 ms at p99.',
    args: [],
    quick: ['--seconds', '10'],
  },
  {
    name: 'reports',
    title: "A study's reports",
    note: 'From the event of an assessed study to the objects and events of its reports, in all formats together and one by one, with everything that they ask for: documents, header, pictures. CPU time of the whole process, threads included. What the first study of a process takes, with all that is loaded and compiled for it, is in a row of its own. Aim: 300 ms for 20 images in all formats.',
    args: [],
    quick: ['--rounds', '3', '--single-rounds', '3'],
  },
  {
    name: 'studies',
    title: 'Open studies',
    note: 'Memory of a process that assesses studies (with its document store and log in it), and the time that an image of an open study takes; then how fast studies that come due are assessed. Nothing of an open study is in memory: what grows is the page cache of SQLite.',
    args: [],
    quick: ['--open', '20000', '--events', '300', '--due', '100'],
  },
]

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
})

const result = z.object({
  bench: z.string(),
  /** Why there are no figures. */
  skipped: z.string().optional(),
  rows: z.array(z.object({ what: z.string(), figures: z.record(z.string(), z.union([z.number(), z.string()])) })),
})

/** Runs one, shows what it prints as it comes, and gives what its last line says. */
async function run({ name, args, quick }: Bench): Promise<z.infer<typeof result>> {
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
  return result.parse(JSON.parse(out.trim().split('\n').at(-1) ?? ''))
}

/** The machine as it is before a benchmark. */
const machine = () => ({
  date: new Date().toISOString().slice(0, 10),
  cpu: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: `${type()} ${release()}`,
  node: process.version,
  load: loadavg()
    .map(load => load.toFixed(1))
    .join(' / '),
})

function sectionOf(
  { name, title, note, aims = [] }: Bench,
  rows: readonly Row[],
  on: ReturnType<typeof machine>,
): string {
  const where = `Measured on ${on.date}: ${on.cpu}, ${on.memory}, ${on.system}, Node ${on.node}; load before it ${on.load} (1, 5, 15 minutes).`
  return `${begin(name)}\n## ${title}\n\n${note}\n\n${markdown(rows)}\n\n${[where, verdict(aims, rows)].join(' ').trim()}\n${end(name)}`
}

const begin = (name: string) => `<!-- ${name} -->`
const end = (name: string) => `<!-- end of ${name} -->`

/** The page with this section in its place, or after the others. */
function placed(page: string, name: string, section: string): string {
  const [from, to] = [page.indexOf(begin(name)), page.indexOf(end(name))]
  if (from >= 0 && to > from) return page.slice(0, from) + section + page.slice(to + end(name).length)
  return page.replace('<!-- end of figures -->', `${section}\n\n<!-- end of figures -->`)
}

const chosen = positionals.length > 0 ? benches.filter(({ name }) => positionals.includes(name)) : benches
const results: Record<string, { machine: ReturnType<typeof machine>; rows: Row[] }> = {}
for (const bench of chosen) {
  const on = machine()
  const { rows, skipped } = await run(bench)
  if (skipped !== undefined) {
    console.log(`## ${bench.title}\n\nLeft out: ${skipped}.\n`)
    continue
  }
  results[bench.name] = { machine: on, rows }
  const section = sectionOf(bench, rows, on)
  console.log(`${section}\n`)
  if (!flags.write) continue
  const file = join(import.meta.dirname, 'README.md')
  writeFileSync(file, placed(readFileSync(file, 'utf8'), bench.name, section))
}
mkdirSync(join(import.meta.dirname, 'out'), { recursive: true })
writeFileSync(join(import.meta.dirname, 'out/results.json'), JSON.stringify(results, null, 2))
