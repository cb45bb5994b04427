/**
 * Replays against what they could be and what they must not disturb: images a second while nothing else runs
 * (replay/throughput.ts), and latency of live images with and without a replay beside them in both modes (replay/beside.ts).
 *
 *   node bench/replay.ts [--images 400] [--rounds 5] [--seconds 8] [--past 1000] [--only throughput|embedded|distributed] [--model text]
 *     [--workers N]   of the throughput; a worker for each core unless told
 *
 * `past` images are there to be replayed beside live ones, a quarter of them of a model whose image takes long.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { groundOrReason } from './distributed/ground.ts'
import { scenarios } from './engine/scenarios.ts'
import { besideReplay } from './replay/beside.ts'
import { candidates, distributed, embedded } from './replay/systems.ts'
import { throughput } from './replay/throughput.ts'
import { markdown, type Row } from './table.ts'

const { values: flags } = parseArgs({
  options: {
    images: { type: 'string', default: '400' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    past: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    model: { type: 'string', default: '' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
})
const { only, model } = flags
const images = Number(flags.images)
const rounds = Number(flags.rounds)
const seconds = Number(flags.seconds)
const past = Number(flags.past)
const workers = Number(flags.workers)
const isWanted = (part: string) => only === '' || only === part

const rows: Row[] = []
if (isWanted('throughput')) {
  for (const scenario of await scenarios()) {
    if (/SqueezeNet, 224|ResNet|batches of 32/.test(scenario.name) && scenario.name.includes(model))
      rows.push(await throughput(scenario, { images, rounds, workers }))
  }
}
const chosen = candidates().filter(({ title }) => title.includes(model))
const turnsOf = ({ manifest }: (typeof chosen)[number]) => ({
  ...{ rounds, seconds },
  past: manifest.batch.max === 1 ? past / 4 : past,
})
if (isWanted('embedded')) {
  for (const candidate of chosen) {
    await using system = await embedded(candidate)
    rows.push(await besideReplay(system, candidate, turnsOf(candidate)))
  }
}
if (isWanted('distributed')) {
  for (const candidate of chosen) {
    // Services of its own for each: what one leaves on the log is not the other's past.
    const ground = await groundOrReason()
    if (typeof ground === 'string') {
      console.error(`without distributed mode: ${ground}`)
      break
    }
    await using running = ground
    await using system = await distributed(candidate, running)
    rows.push(await besideReplay(system, candidate, turnsOf(candidate)))
  }
}
console.log(markdown(rows))
console.log(JSON.stringify({ bench: 'replay', workers, images, rounds, seconds, rows }))
