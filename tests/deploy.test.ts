/** Every stage runs somewhere, in the same groups wherever they are named; containers may do what they must, and nothing else. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { allStages } from '../cli/stages.ts'
import { apart, usualGroups } from './services/distributed/processes.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
/** The simulator is for demonstrations. */
const stages = allStages.map(({ name }) => name).filter(name => name !== 'simulator')
const sorted = (names: readonly string[]) => names.toSorted()

const service = z.object({
  image: z.string(),
  build: z.unknown().optional(),
  command: z.unknown().optional(),
  user: z.string().optional(),
  read_only: z.boolean().default(false),
  privileged: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  cap_add: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  restart: z.string().optional(),
  tmpfs: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()).default([]), disable: z.boolean().default(false) }).optional(),
  deploy: z
    .object({
      resources: z.object({ limits: z.object({ cpus: z.string(), memory: z.string(), pids: z.int() }).partial() }),
    })
    .optional(),
})
const compose: unknown = parse(read('docker-compose.yml'), { merge: true })
const { services } = z.object({ services: z.record(z.string(), service) }).parse(compose)
/** Ends when it is done: nobody asks it how it is. */
const isJob = ({ restart }: z.infer<typeof service>) => restart !== 'unless-stopped'

describe('every stage', () => {
  const groups: Readonly<Record<string, readonly string[]>> = usualGroups

  it('is in one process of those that the tests on real servers start', () => {
    expect(sorted(Object.values(groups).flat())).toEqual(sorted(stages))
  })

  it('is in the container of docker-compose.yml that has the name of that process', () => {
    const named = Object.entries(services).flatMap(([name, { command }]) => {
      const words = z.array(z.string()).safeParse(command).data ?? []
      return words.includes('--stages') ? [[name, words.at(-1)?.split(',')]] : []
    })
    expect(Object.fromEntries(named)).toEqual(groups)
  })

  it.each(['README.md', 'docs/distributed.md'])('is in the same process where %s starts them by hand', path => {
    const started = [...read(path).matchAll(/^raylog start --stages (\S+)/gm)].map(([, names]) => names)
    expect(started.toSorted()).toEqual(
      Object.values(groups)
        .map(names => names.join())
        .toSorted(),
    )
  })

  it('is in a process of the kill tests, but for those that have tests of their own', () => {
    const all: readonly string[] = Object.values(apart).flat()
    expect(sorted([...all, 'replay', 'dicomweb'])).toEqual(sorted(stages))
  })
})

describe('docker-compose.yml', () => {
  /** `compose-spec.json` is of compose-go 2.15.0 (Apache-2.0), the parser of `docker compose`. */
  async function problems(file: unknown): Promise<string> {
    const { $schema: _, ...body } = z
      .record(z.string(), z.unknown())
      .parse(JSON.parse(read('tests/deploy/compose-spec.json')))
    const strictly = {
      removeAdditional: false,
      coerceTypes: false,
      useDefaults: false,
      validateFormats: false,
    } as const
    await using app = fastify({ ajv: { customOptions: { ...strictly, strict: false } } })
    app.post('/', { schema: { body } }, () => '')
    return (await app.inject({ method: 'POST', url: '/', payload: JSON.stringify(file), headers })).body
  }
  const headers = { 'content-type': 'application/json' }

  it("is what Compose's schema allows, which finds a key that it does not know", async () => {
    expect(await problems(compose)).toBe('')
    expect(await problems({ services: { kafka: { image: 'a', helthcheck: {} } } })).toContain('additional properties')
  })

  describe.each(Object.entries(services))('%s', (name, one) => {
    it('has limits for processors, memory and processes', () => {
      const { cpus, memory, pids } = one.deploy?.resources.limits ?? {}
      expect(Number(cpus)).toBeGreaterThan(0)
      // Not as `pids_limit`, which newer versions of Compose refuse beside other limits.
      expect(pids).toBeGreaterThan(0)
      expect(memory).toMatch(/^\d+[mg]$/)
    })

    it('says how it is, or ends', () => {
      const own = (one.healthcheck?.test.length ?? 0) > 0 && !one.healthcheck?.disable
      const ofImage = one.build !== undefined && one.healthcheck === undefined
      expect({ own: own || ofImage, job: isJob(one) }).toEqual({ own: !isJob(one), job: isJob(one) })
    })

    it('has a user without rights, no capabilities, and a root that nobody writes to', () => {
      // It gives a new volume to who writes there, which only root can.
      const gives = name === 's3-folder'
      expect(one.user).toMatch(gives ? /^0:0$/ : /^[1-9]\d*:\d+$/)
      expect(one.cap_add).toEqual(gives ? ['CHOWN'] : [])
      expect(one.cap_drop).toEqual(['ALL'])
      expect(one.security_opt).toEqual(['no-new-privileges:true'])
      expect([one.read_only, one.privileged]).toEqual([true, false])
    })

    it('fills no more memory with files than it is allowed', () => {
      expect(one.tmpfs.filter(mount => !/[:,]size=\d+m\b/.test(mount))).toEqual([])
    })

    it('is an image of one version, and reached from this machine alone', () => {
      expect(one.image).toMatch(/^[\w./-]+:v?\d+\.\d[\w.-]*$/)
      expect(one.ports.filter(port => !port.startsWith('127.0.0.1:'))).toEqual([])
    })
  })
})

/** What hadolint, which is run by hand (docs/distributed.md), would say first, and what it does not look at. */
describe('Dockerfile', () => {
  const instructions = read('Dockerfile')
    .replace(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const [word = '', ...rest] = line.trim().split(/\s+/)
      return { word, rest: rest.join(' ') }
    })
  const all = (wanted: string) => instructions.filter(({ word }) => word === wanted).map(({ rest }) => rest)
  const built = [
    ...all('FROM')
      .join('\n')
      .matchAll(/ AS (\S+)$/gm),
  ].map(([, name]) => name)

  it('is built from the Node that package.json names, in its exact version', () => {
    const { dependencies } = z
      .object({ dependencies: z.object({ node: z.string() }) })
      .parse(JSON.parse(read('package.json')))
    expect(all('FROM').map(from => from.split(' ')[0])).toEqual([
      `node:${dependencies.node}-slim`,
      `node:${dependencies.node}-slim`,
    ])
  })

  it('ends as a user without rights, said as a number', () => {
    expect(all('USER').at(-1)).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(instructions.findLastIndex(({ word }) => word === 'USER')).toBeGreaterThan(
      instructions.findLastIndex(({ word }) => word === 'RUN'),
    )
  })

  it('copies, and adds nothing; from stages that there are', () => {
    expect(all('ADD')).toEqual([])
    const from = all('COPY').flatMap(copy => copy.match(/--from=(\S+)/)?.[1] ?? [])
    expect(from.filter(stage => !built.includes(stage))).toEqual([])
    expect(all('WORKDIR').filter(folder => !folder.startsWith('/'))).toEqual([])
  })

  it('starts without a shell in between, which would keep signals to itself', () => {
    const commands = [
      ...all('ENTRYPOINT'),
      ...all('CMD'),
      ...all('HEALTHCHECK').map(rest => rest.replace(/^.*?\bCMD /, '')),
    ]
    expect(commands).toHaveLength(3)
    for (const command of commands) expect(z.array(z.string()).parse(JSON.parse(command)).length).toBeGreaterThan(0)
  })

  it('has what Node makes of the modules made with the flags of the process that will look for it', () => {
    const flags = (text: string) =>
      [...text.matchAll(/--(?:max-semi-space-size|heap-growing-percent)=\d+/g)].map(String)
    expect(flags(all('RUN').join('\n'))).toEqual(flags(read('cli/few-arenas.ts')))
  })

  it('installs what the lock file says, and has no secret in its layers', () => {
    expect(all('RUN').filter(run => /\bnpm (i|install)\b|apt-get upgrade|\bsudo\b|curl .*\|/.test(run))).toEqual([])
    expect([...all('ENV'), ...all('ARG')].filter(line => /secret|password|token|_key/i.test(line))).toEqual([])
  })
})
