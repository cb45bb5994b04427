/**
 * Raylog in distributed mode beside the ordinary alternative (bench/baselines/README.md): both do the same work on the
 * same broker, registry, S3 and document database, in turns, with images of a 512 KB CT; and the runtime alone, for the most
 * that anyone could be ahead where Kafka, S3 and the database have the same cores: its CPU time and theirs, and nothing else.
 *
 *   node bench/baselines.ts [--seconds 5 | --count IMAGES] [--rounds 3] [--only text] [--processes N] [--parts N]
 *
 * As many processes of Python, and workers of Raylog, as cores; --parts shares the workers among so many processes of Raylog
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { raylogContender, type Turn, turn } from './distributed/contenders.ts'
import { type Ground, groundOrSkip, skip } from './distributed/ground.ts'
import { pythonContender, pythonOf } from './distributed/python.ts'
import { openRaw } from './engine/raw.ts'
import { heavyScenarios, type Scenario } from './engine/scenarios.ts'
import { markdown, median, type Row, round } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    count: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '512 KB' },
    processes: { type: 'string', default: String(availableParallelism()) },
    parts: { type: 'string', default: '1' },
  },
})
const seconds = Number(flags.seconds)
const processes = Number(flags.processes)
const warmUp = 400

async function measure(ground: Ground, scenario: Scenario, python: string): Promise<Row[]> {
  const objects = await ground.store(scenario)
  const { weights, manifest, shape } = scenario
  const raw = await openRaw(processes, { weights, input: manifest.input.name, shape })
  const alone = [await raw.measure(2_000)]
  const count = Number(flags.count ?? Math.ceil((alone[0]?.perSecond ?? 1) * seconds))
  await using ours = await raylogContender(ground, scenario, { workers: processes, processes: Number(flags.parts) })
  await using theirs = await pythonContender(ground, scenario, { python, processes })
  const contenders = [
    { what: 'Raylog', contender: ours },
    { what: `Python, ${processes} processes`, contender: theirs },
  ]
  const turns: Turn[][] = [[], []]
  // Until then the services' virtual machines compile what they do, at more than what they do costs.
  for (const { contender } of contenders)
    await turn(ground, contender, { scenario, objects, count: Math.max(count, warmUp) })
  for (let n = 0; n < Number(flags.rounds); n++) {
    alone.push(await raw.measure(2_000))
    const order = [...contenders.entries()]
    // Each after the other as often as before it.
    for (const [at, { what, contender }] of n % 2 === 0 ? order : order.toReversed()) {
      const one = await turn(ground, contender, { scenario, objects, count })
      turns[at]?.push(one)
      console.error(scenario.name, what, JSON.stringify(one))
    }
  }
  raw.close()
  const of = (at: number, figure: (one: Turn) => number) => median((turns[at] ?? []).map(figure))
  const rows = contenders.map(({ what }, at) => ({
    what: `${scenario.name}: ${what}`,
    figures: {
      'images/s': round(
        of(at, one => one.perSecond),
        1,
      ),
      'CPU ms an image': round(
        of(at, one => one.cpuMs),
        2,
      ),
      'services, CPU ms an image': round(
        of(at, one => one.servicesCpuMs),
        2,
      ),
      'resident MB': round(of(at, one => one.residentMb)),
    },
  }))
  const ratio = (figure: (one: Turn) => number) =>
    round(median((turns[0] ?? []).map((one, n) => figure(one) / figure(turns[1]?.[n] ?? one))), 2)
  const figures = {
    'images/s': ratio(one => one.perSecond),
    'CPU ms an image': ratio(one => one.cpuMs),
    'services, CPU ms an image': ratio(one => one.servicesCpuMs),
    'resident MB': ratio(one => one.residentMb),
  }
  const rawCpuMs = median(alone.map(({ cpuMs }) => cpuMs))
  const [theirCpuMs, theirServicesMs] = [of(1, one => one.cpuMs), of(1, one => one.servicesCpuMs)]
  const runtime = {
    'images/s': round(median(alone.map(({ perSecond }) => perSecond)), 1),
    'CPU ms an image': round(rawCpuMs, 2),
  }
  const most = {
    'images/s': round((theirCpuMs + theirServicesMs) / (rawCpuMs + theirServicesMs), 2),
    'CPU ms an image': round(rawCpuMs / theirCpuMs, 2),
  }
  return [
    ...rows,
    { what: `${scenario.name}: Raylog over Python`, figures },
    { what: `${scenario.name}: the runtime alone, without services`, figures: runtime },
    { what: `${scenario.name}: the most over Python, of the runtime and the services alone`, figures: most },
  ]
}

const chosen = heavyScenarios().filter(({ name }) => name.includes(flags.only))
if (chosen.length === 0) skip('baselines', 'the graphs are in the folder that RAYLOG_SHARED names')
const python = await pythonOf().catch((error: unknown) =>
  skip('baselines', `its Python environment cannot be made here: ${error instanceof Error ? error.message : error}`),
)
const rows: Row[] = []
{
  await using ground = await groundOrSkip('baselines')
  for (const scenario of chosen) rows.push(...(await measure(ground, scenario, python)))
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'baselines', processes, rows }))
