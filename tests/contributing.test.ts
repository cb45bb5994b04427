/** CONTRIBUTING.md holds what it says: its stage compiles and runs, with the test beside it; its model opens and answers. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pino from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { readSettings } from '../cli/settings.ts'
import { allStages } from '../cli/stages.ts'
import { compile } from '../kafka/compile.ts'
import type { AnyStage } from '../kafka/stage.ts'
import { openModels } from '../models/engine.ts'
import { instanceOf, png, temporaryFolder, testObjects } from '../models/testing.ts'
import { createMetrics } from '../monitoring/metrics.ts'

const root = resolve(import.meta.dirname, '..')
const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8')
const execute = promisify(execFile)

/** The blocks of a language in the section whose heading begins so. */
function blocks(heading: string, language: string): string[] {
  const section = text.split(/^## /m).find(part => part.startsWith(heading)) ?? ''
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, code = '']) =>
    of === language ? [code] : [],
  )
}

// As in a clone: what they import is beside them, by links.
const temporary = temporaryFolder()
const clone = realpathSync(temporary.path)
for (const name of readdirSync(root).filter(one => one !== 'consumers' && !one.startsWith('.')))
  symlinkSync(join(root, name), join(clone, name))
const tally = join(clone, 'consumers/tally')
mkdirSync(tally, { recursive: true })
const [stageCode = '', testCode = ''] = blocks('Add a stage', 'ts')
writeFileSync(join(tally, 'stage.ts'), stageCode)
writeFileSync(join(tally, 'stage.test.ts'), testCode)
afterAll(() => temporary[Symbol.dispose]())

describe('the stage of "Add a stage"', { timeout: 120_000 }, () => {
  it('is where the text puts it, in the files that it names, and passes the compiler', async () => {
    for (const file of ['consumers/tally/stage.ts', 'consumers/tally/stage.test.ts']) expect(text).toContain(file)
    const project = { extends: join(root, 'tsconfig.json'), files: ['stage.ts', 'stage.test.ts'], include: [] }
    writeFileSync(join(tally, 'tsconfig.json'), JSON.stringify(project))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { stdout } = await execute(process.execPath, [tsc, '--noEmit', '-p', tally]).catch(failed => failed)
    expect(stdout).toBe('')
  })

  it('goes into a plan with the settings of the command that the text gives', async () => {
    const { tally: stage }: { tally: AnyStage } = await import(join(tally, 'stage.ts'))
    const [, set = ''] = /npm run demo -- --set (tally\.\S+)`/.exec(text) ?? []
    const { stages } = compile([...allStages, stage], readSettings({ file: null, env: {}, set: [set] }))
    expect(stages.find(one => one.stage === stage)).toMatchObject({ config: { every: 10 } })
  })

  describe('in its own test', async () => {
    // Its `it` is ours: it joins this file's tests.
    await import(join(tally, 'stage.test.ts'))
  })
})

describe('the model of "Add a model"', () => {
  it('opens from the folder that the text makes, and says how bright an image is', async () => {
    const [shell = '', settings = '', manifest = ''] = ['sh', 'yaml', 'json'].map(of => blocks('Add a model', of)[0])
    const models = join(clone, 'models of mine')
    const put = (code: string) => code.replaceAll('/path/to/models', models.replaceAll(' ', '\\ '))
    const { stdout } = await execute('sh', ['-ec', put(shell)], { cwd: root })
    expect(stdout.split(' ')[0]).toBe(
      z.object({ weights: z.object({ sha256: z.string() }) }).parse(JSON.parse(manifest)).weights.sha256,
    )
    writeFileSync(join(models, 'brightness/model.json'), manifest)
    const file = join(clone, 'raylog.yaml')
    writeFileSync(file, settings.replaceAll('/path/to/models', models))
    const { config } = compile(allStages, readSettings({ file, env: {}, set: [] }))

    const objects = testObjects(clone)
    const engine = await openModels({
      settings: { ...config.models, builtIn: false, workers: 1 },
      objects,
      spoolFolder: join(clone, 'spool'),
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
    })
    try {
      expect(engine.list()).toMatchObject([{ ref: { name: 'brightness', version: '1' }, state: 'ready' }])
      const [model] = engine.list()
      if (!model) throw new Error('no model')
      const image = instanceOf(objects.put(await png(204)))
      const said = await engine.predict(model.ref, image, { priority: 'routine', signal: new AbortController().signal })
      expect(said).toMatchObject({ label: 'bright', score: expect.closeTo(0.8, 6) })
    } finally {
      await engine.close()
    }
  })
})
