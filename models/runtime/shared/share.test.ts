/** Copies that workers share, made by the real process, and engines that have them. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { platformConfig } from '../../../schemas/config.ts'
import { ask, enginesPerTest } from '../../../tests/harness/engines.ts'
import { modelManifest } from '../../manifest.ts'
import { readModels } from '../../registry.ts'
import { graphsFolder, manifestOf, png, writeModel } from '../../testing.ts'
import { InferenceSession } from '../onnxruntime/onnxruntime.ts'
import { compare } from './make.ts'
import { shareModels } from './share.ts'

const { open, folder } = enginesPerTest()

function logs() {
  const lines: { msg: string; model?: string; reason?: string }[] = []
  const logger = pino({ level: 'warn' }, { write: line => void lines.push(JSON.parse(line)) })
  return { lines, logger }
}

async function loaded(graphs: readonly Parameters<typeof manifestOf>[0][], builtIn = false) {
  const models = join(folder(), 'models')
  for (const graph of graphs) writeModel(models, graph, manifestOf(graph), join(graphsFolder, `${graph}.onnx`))
  return (await readModels({ ...platformConfig.parse({}).models, builtIn, folders: graphs.length > 0 ? [models] : [] }))
    .models
}

describe('copies of models', () => {
  it('say to the bit what the models say, of every kind of input, and are gone when they are closed', async () => {
    const spool = join(folder(), 'spool')
    const { lines, logger } = logs()
    const models = await loaded(['mean', 'single', 'classes', 'half', 'bytes', 'marks', 'declared'], true)
    expect(models.length).toBeGreaterThan(7)
    const shared = shareModels(models, { spoolFolder: spool, logger })
    const copies = await shared.copies
    expect(lines).toEqual([])
    expect(copies.map(copy => copy !== undefined && existsSync(copy))).toEqual(models.map(() => true))
    await shared.close()
    expect(readdirSync(spool)).toEqual([])
  })

  it('are not had of a model that does not run; the others have theirs', async () => {
    const { lines, logger } = logs()
    const models = await loaded(['fails', 'mean'])
    const spool = join(folder(), 'spool')
    const shared = shareModels(models, { spoolFolder: spool, logger })
    const copies = await shared.copies
    const had = models.map(({ ref }, at) => [ref.name, copies[at] !== undefined])
    expect(Object.fromEntries(had)).toEqual({ fails: false, mean: true })
    expect(lines).toMatchObject([{ model: 'fails@1', reason: expect.stringContaining('Gather') }])
    await shared.close()
    expect(readdirSync(spool)).toEqual([])
  })

  it('are no copies where they say something else', async () => {
    const [mean, same, other] = await Promise.all(
      (['mean', 'mean', 'ratio'] as const).map(graph => InferenceSession.create(join(graphsFolder, `${graph}.onnx`))),
    )
    const manifest = modelManifest.parse(manifestOf('mean'))
    if (!mean || !same || !other) throw new Error('no sessions')
    await compare(manifest, mean, same)
    await expect(compare(manifest, mean, other)).rejects.toThrow('the copy gives another scores')
  })

  it('are not made for who closes at once', async () => {
    const { lines, logger } = logs()
    const spoolFolder = join(folder(), 'spool')
    const shared = shareModels(await loaded(['mean']), { spoolFolder, logger })
    await shared.close()
    expect(await shared.copies).toEqual([undefined])
    expect(readdirSync(spoolFolder)).toEqual([])
    expect(lines).toEqual([])
  })

  it('are gone, and who makes them, when they are closed while they are made', async () => {
    const { lines, logger } = logs()
    const spoolFolder = join(folder(), 'spool')
    const [mean] = await loaded(['mean'])
    if (!mean) throw new Error('no model')
    const shared = shareModels(
      Array.from({ length: 400 }, () => mean),
      { spoolFolder, logger },
    )
    await vi.waitFor(() => expect(readdirSync(spoolFolder)).not.toEqual([]), { interval: 5 })
    await shared.close()
    expect(await shared.copies).toContain(undefined)
    expect(readdirSync(spoolFolder)).toEqual([])
    expect(lines).toEqual([])
  })

  it('are done without where no process can be started', async () => {
    const { lines, logger } = logs()
    const { execPath } = process
    process.execPath = join(folder(), 'no-node')
    try {
      const shared = shareModels(await loaded(['mean']), { spoolFolder: join(folder(), 'spool'), logger })
      expect(await shared.copies).toEqual([undefined])
      await shared.close()
    } finally {
      process.execPath = execPath
    }
    expect(lines).toMatchObject([{ model: 'mean@1', reason: expect.stringContaining('ENOENT') }])
  })
})

describe('an engine of several workers', () => {
  it.skipIf(process.platform !== 'linux')('has the weights of a model in memory once (needs /proc)', async () => {
    const opened = await open(['declared'], { workers: 2, builtIn: true })
    await vi.waitFor(() => expect(opened.engine.workers()).toHaveLength(2), { timeout: 25_000 })
    const mapped = opened.engine.workers().map(pid => {
      const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
      return maps.flatMap(line => line.match(/\/spool\/.*/)?.[0] ?? []).toSorted()
    })
    expect(new Set(mapped[0]).size).toBeGreaterThan(3)
    expect(mapped[1]).toEqual(mapped[0])
    expect((await ask(opened, 'declared', opened.objects.put(await png(51)))).score).toBeCloseTo(0.2, 6)
    await opened.engine.close()
    expect(readdirSync(join(opened.root, 'spool'))).toEqual([])
  })

  it('loads what was given where the copies were taken away, when a worker is replaced', async () => {
    const opened = await open(['declared'], { workers: 2 })
    await vi.waitFor(() => expect(opened.engine.workers()).toHaveLength(2), { timeout: 25_000 })
    const before = opened.engine.workers()
    rmSync(join(opened.root, 'spool'), { recursive: true })
    for (const pid of before) process.kill(pid, 'SIGKILL')
    await vi.waitFor(
      () => {
        const now = opened.engine.workers()
        expect(now).toHaveLength(2)
        expect(now.filter(pid => before.includes(pid))).toEqual([])
      },
      { timeout: 25_000 },
    )
    expect((await ask(opened, 'declared', opened.objects.put(await png(51)))).score).toBeCloseTo(0.2, 6)
  })

  it('does without where they cannot be written, and says so', async () => {
    const { lines, logger } = logs()
    const spoolFolder = join(folder(), 'spool')
    writeFileSync(spoolFolder, 'no folder')
    const opened = await open(['declared'], { workers: 2 }, { spoolFolder, logger })
    expect((await ask(opened, 'declared', opened.objects.put(await png(51)))).score).toBeCloseTo(0.2, 6)
    expect(lines).toMatchObject([{ model: 'declared@1', reason: expect.stringMatching(/EEXIST|ENOTDIR/) }])
  })
})
