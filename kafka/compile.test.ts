import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { RaylogError } from '../schemas/errors.ts'
import { topics } from '../schemas/topics.ts'
import { compile, configJsonSchema } from './compile.ts'
import { defineStage } from './stage.ts'

const echo = defineStage({
  name: 'echo',
  role: 'consumer',
  summary: 'says it again',
  reads: [topics.instances],
  writes: [],
  needs: ['objects'],
  config: z.strictObject({ times: z.int().min(1).default(1), apiSecret: z.string().default('hunter22') }),
  open: async () => ({ handle() {} }),
})

function problems(settings: unknown): string {
  try {
    compile([echo], settings)
    return ''
  } catch (error) {
    if (error instanceof RaylogError && error.code === 'config-invalid') return error.message
    throw error
  }
}

describe('compile', () => {
  it('fills in defaults, and gives the topics with their retention', () => {
    const plan = compile([echo], { log: { retentionDays: 7 } })
    expect(plan.config.http.port).toBe(8080)
    expect(plan.stages).toEqual([{ stage: echo, config: { times: 1, apiSecret: 'hunter22' } }])
    expect(plan.needs).toEqual(new Set(['objects']))
    const retention = Object.fromEntries(plan.topics.map(topic => [topic.name, topic.retention.maxAgeMs]))
    expect(retention[topics.instances.name]).toBe(7 * 86_400_000)
    expect(retention[topics.audit.name]).toBeNull()
  })

  it('says what of one stage does not go together with another', () => {
    const shy = defineStage({
      ...{ name: 'shy', role: 'consumer', summary: 'after echo', reads: [], writes: [], needs: [] },
      config: z.strictObject({ most: z.int().default(1) }),
      conflicts: ({ most }, { echo: other }) =>
        z.object({ times: z.int() }).parse(other).times > most ? [`shy.most: ${most} is less than echo.times`] : [],
      open: async () => ({}),
    })
    expect(() => compile([echo, shy], { echo: { times: 2 } })).toThrow('shy.most: 1 is less than echo.times')
    expect(compile([echo, shy], { echo: { times: 2 }, shy: { most: 2 } }).stages).toHaveLength(2)
  })

  it('reports every problem at once, with its path', () => {
    const said = problems({
      site: 'a b',
      http: { port: 70_000, prot: 1 },
      echo: { times: 0 },
      ehco: {},
      stages: ['infr'],
    })
    expect(said.split('\n')).toHaveLength(6)
    for (const part of [
      'site:',
      'http.port:',
      'http.prot: there is no such setting',
      'echo.times:',
      'ehco: there is no such setting',
      'there is no stage "infr"',
    ])
      expect(said).toContain(part)
  })

  it('says of every problem where it is and what to do about it', () => {
    const many = problems({
      site: 'a b',
      mode: 'distributed',
      logLevel: 'loud',
      http: { port: 70_000, prot: 1 },
      runner: { drainMs: 20_000, maxBackoffMs: 'long' },
      models: { workers: 0, providers: [], rules: [{ allow: false }] },
      kafka: { brokers: ['kafka:9092'], registry: { url: 'http://registry' }, heartbeatMs: 20_000 },
      s3: { endpoint: 'http://s3:9000', bucket: 'raylog', secretKey: 'b' },
      echo: { times: 0 },
      echos: {},
      stages: ['infr'],
    }).split('\n')
    const remedies: Record<string, RegExp> = {
      site: /; mend it, or leave it out for "main" \(hospital or tenant whose images come in here\)$/,
      logLevel: /expected one of "debug"\|"info".*; mend it, or leave it out for "info" \(/,
      'http.port': /to be <=65535; mend it, or leave it out for 8080 \(the next free one is taken.*\)$/,
      'http.prot': /there is no such setting \("raylog config --schema" lists them all\)$/,
      'runner.maxBackoffMs': /received string; mend it, or leave it out for 15000 \("raylog config --schema" says/,
      'models.workers': /to be >=1; mend it, or leave it out for null \(worker processes; null: one a core\)$/,
      'models.providers': /; mend it, or leave it out for \["cpu"\] \(in order of preference\)$/,
      'models.rules.0.model': /received undefined; give it \(name or name@version; \* for every model\)$/,
      s3: /^s3: give accessKey or accessKeyFile$/,
      'echo.times': /to be >=1; mend it, or leave it out for 1 \(/,
      echos: /there is no such setting; did you mean "echo"\? \(/,
      mongo: /distributed mode needs this section \(docs\/distributed\.md\)$/,
      stages: /there is no stage "infr"; choose from echo$/,
    }
    for (const [path, remedy] of Object.entries(remedies))
      expect(
        many.find(line => line.startsWith(`${path}: `)),
        path,
      ).toMatch(remedy)
    expect(many).toHaveLength(Object.keys(remedies).length)
    expect(() => compile([{ ...echo, name: 'http' }], {})).toThrow(/^stage http: the name is taken; give it another$/m)
    const stray = { ...topics.audit, name: 'stray.v1' }
    expect(() => compile([{ ...echo, reads: [stray] }], {})).toThrow(
      /stray.v1 is not in schemas\/topics.ts; add it there/,
    )
  })

  it('says every section that distributed mode lacks, and what of a section is missing', () => {
    const said = problems({ mode: 'distributed', s3: { endpoint: 'http://s3:9000', bucket: 'raylog' }, site: 'a b' })
    for (const part of ['kafka: distributed', 'mongo: distributed', 'give accessKey', 'give secretKey', 'site:'])
      expect(said).toContain(part)
    expect(problems({ mode: 'embedded' })).toBe('')
  })

  it('refuses times with which partitions would move while a stage works on them', () => {
    const registry = { url: 'http://registry' }
    const given = (kafka: object, runner: object = {}) => ({
      ...{ mode: 'distributed', runner, kafka: { brokers: ['kafka:9092'], registry, ...kafka } },
      mongo: { url: 'mongodb://db' },
      s3: { endpoint: 'http://s3:9000', bucket: 'raylog', accessKey: 'a', secretKey: 'b' },
    })
    expect(problems(given({}))).toBe('')
    expect(problems(given({ heartbeatMs: 2_000, sessionTimeoutMs: 5_000 }))).toMatch(
      /^kafka\.heartbeatMs: 2000 .*; lower the one, or raise the other$/,
    )
    expect(problems(given({}, { drainMs: 20_000 }))).toMatch(
      /^runner\.drainMs: 20000 .*; lower the one, or raise the other$/,
    )
    expect(problems(given({ rebalanceTimeoutMs: 60_000 }, { drainMs: 20_000 }))).toBe('')
  })

  it('masks the secrets of the services, not where they are', () => {
    const { effective } = compile([echo], {
      mongo: { url: 'mongodb://me:hunter22@db/raylog' },
      s3: { endpoint: 'http://s3', bucket: 'raylog', accessKey: 'hunter22', secretKeyFile: '/run/secrets/s3' },
    })
    const said = JSON.stringify(effective)
    expect(said).not.toContain('hunter22')
    expect(said).toContain('mongodb://…@db/raylog')
    expect(said).toContain('/run/secrets/s3')
  })

  it('masks secrets in what it shows to people', () => {
    expect(JSON.stringify(compile([echo], { http: { token: 'a'.repeat(20) } }).effective)).not.toMatch(/hunter22|aaaa/)
  })

  it('refuses two stages of one name, and a stage named like a section of the platform', () => {
    expect(() => compile([echo, echo], {})).toThrow(/name is taken/)
    expect(() => compile([{ ...echo, name: 'http' }], {})).toThrow(/name is taken/)
  })

  it('describes every setting in its JSON Schema, stages included', () => {
    const schema = JSON.stringify(configJsonSchema([echo]))
    expect(schema).toContain('"echo"')
    expect(schema).toContain('the next free one is taken')
  })
})
