/**
 * Distributed mode on one machine against the runtime alone: instances already on Kafka until their predictions are
 * documents, by one process of `infer` and `persist` with a worker for each core, over bare session.run() in as many
 * single-threaded processes as there are workers; in turns. Kafka, the document database and S3 share the cores with them.
 *
 *   node bench/distributed.ts [--seconds 5 | --count IMAGES] [--rounds 3] [--workers N] [--processes N] [--only text]
 *
 * With --count the CPU time of an image is worth something also on a machine that is busy with other things.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Contender, raylogContender, type Turn, turn } from './distributed/contenders.ts'
import { type Ground, groundOrSkip, skip } from './distributed/ground.ts'
import { openRaw } from './engine/raw.ts'
import { heavyScenarios, type Scenario } from './engine/scenarios.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    count: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    workers: { type: 'string', default: String(availableParallelism()) },
    processes: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
})
const ms = Number(flags.seconds) * 1_000
const workers = Number(flags.workers)
const processes = Number(flags.processes)

/** Images of the first scenario before any is measured: until then the services' virtual machines compile what they do. */
const warmUp = 2_000

async function measure(ground: Ground, scenario: Scenario, warm: number): Promise<Row> {
  const objects = await ground.store(scenario)
  await using contender: Contender = await raylogContender(ground, scenario, { workers, processes })
  const { weights, manifest, shape } = scenario
  const raw = await openRaw(workers, { weights, input: manifest.input.name, shape })
  const alone = await raw.measure(ms / 2)
  await turn(ground, contender, { scenario, objects, count: Math.max(warm, Math.ceil(alone.perSecond)) })
  const turns: (Turn & { raw: number; rawCpuMs: number })[] = []
  for (let n = 0; n < Number(flags.rounds); n++) {
    const { perSecond, cpuMs } = await raw.measure(ms)
    const count = Number(flags.count ?? Math.ceil((perSecond * ms) / 1_000))
    turns.push({ raw: perSecond, rawCpuMs: cpuMs, ...(await turn(ground, contender, { scenario, objects, count })) })
    console.error(scenario.name, JSON.stringify(turns.at(-1)))
  }
  raw.close()
  const of = (figure: (one: (typeof turns)[number]) => number, digits = 1) => round(median(turns.map(figure)), digits)
  return {
    what: scenario.name,
    figures: {
      'runtime alone, images/s': of(one => one.raw),
      'distributed, images/s': of(one => one.perSecond),
      ratio: of(one => one.perSecond / one.raw, 3),
      'runtime alone, CPU ms an image': of(one => one.rawCpuMs, 2),
      'Raylog, CPU ms an image': of(one => one.cpuMs, 2),
      'Kafka, MongoDB, S3, CPU ms an image': of(one => one.servicesCpuMs, 2),
      'resident MB': of(one => one.residentMb, 0),
    },
  }
}

/** The short ones first: they warm the services up. */
const chosen = heavyScenarios()
  .filter(({ name }) => name.includes(flags.only))
  .toReversed()
if (chosen.length === 0) skip('distributed', 'the graphs are in the folder that RAYLOG_SHARED names')
const rows: Row[] = []
{
  await using ground = await groundOrSkip('distributed')
  for (const [at, scenario] of chosen.entries()) rows.push(await measure(ground, scenario, at === 0 ? warmUp : 0))
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'distributed', workers, processes, rows }))
