import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import { HandClock } from '../../tests/harness/hand-clock.ts'
import { freePort } from '../../tests/harness/raylog.ts'
import { until } from '../../tests/harness/until.ts'
import { openSchemas, type Schemas } from './schemas.ts'

const subject = 'r-value'
const schema = JSON.stringify({ type: 'record', name: 'R', fields: [] })
const logger = pino({ level: 'silent' })
let folder: string
let server: Server
let url: string
let opened: Schemas[]
/** What the registry says. */
let registry: { ruled: boolean | 'none'; id: number; refuses: boolean }

/** On its own port, again after it was away. */
async function listen(port: number): Promise<void> {
  server = createServer((request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
      response.end(JSON.stringify(body))
    }
    if (request.url?.startsWith('/schemas/ids/'))
      return request.url.endsWith(`/${registry.id}`) ? answer(200, { schema }) : answer(404, { error_code: 40403 })
    if (request.method === 'GET')
      return registry.ruled
        ? answer(200, { compatibilityLevel: registry.ruled === 'none' ? 'NONE' : 'BACKWARD_TRANSITIVE' })
        : answer(404, { error_code: 40401 })
    if (request.method === 'POST')
      return registry.refuses ? answer(409, { message: 'not compatible' }) : answer(200, { id: registry.id })
    registry.ruled = true
    answer(409, { error_code: 409, message: "A rule named 'COMPATIBILITY' already exists." })
  })
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
}

async function goAway(): Promise<void> {
  server.closeAllConnections()
  await new Promise(done => server.close(done))
}

function open({ clock = systemClock, at = url }: { clock?: typeof systemClock; at?: string } = {}): Schemas {
  const schemas = openSchemas({ url: at, auth: null, cacheFolder: join(folder, 'schemas') }, { clock, logger })
  opened.push(schemas)
  return schemas
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'raylog-schemas-'))
  registry = { ruled: true, id: 7, refuses: false }
  opened = []
  await listen(await freePort())
})
afterEach(async () => {
  for (const schemas of opened) schemas.close()
  if (server.listening) await goAway()
  rmSync(folder, { recursive: true })
})

describe('schemas in a registry', () => {
  it('get their id also where another process sets the rule of their subject at the same moment', async () => {
    registry.ruled = false
    expect(await open().idOf(subject, schema)).toBe(7)
    expect(registry.ruled).toBe(true)
  })

  it('get the rule that another process was killed before it could set', async () => {
    registry.ruled = 'none'
    expect(await open().idOf(subject, schema)).toBe(7)
    expect(registry.ruled).toBe(true)
  })
})

describe('a process that starts while the registry is away', () => {
  it('writes and reads by what it was told before, and by nothing else', async () => {
    await open().idOf(subject, schema)
    await open().textOf(7)
    await goAway()
    const later = open()
    expect(await later.idOf(subject, schema)).toBe(7)
    expect(await later.textOf(7)).toBe(schema)
    await expect(later.textOf(8)).rejects.toMatchObject({ code: 'log-unavailable' })
    await expect(later.idOf('other-value', schema)).rejects.toMatchObject({ code: 'log-unavailable' })
    const stranger = open({ at: 'http://127.0.0.1:9' })
    await expect(stranger.idOf(subject, schema)).rejects.toMatchObject({ code: 'log-unavailable' })
  })

  it('passes over what was not kept whole', async () => {
    await open().idOf(subject, schema)
    await open().textOf(7)
    const files = readdirSync(join(folder, 'schemas'))
    expect(files).toHaveLength(1)
    writeFileSync(join(folder, 'schemas', String(files[0])), '{"registry":')
    await goAway()
    await expect(open().idOf(subject, schema)).rejects.toMatchObject({ code: 'log-unavailable' })
  })

  it('removes what a crash left half-written, but not what another process writes; none of it stops a start', async () => {
    await open().idOf(subject, schema)
    const draft = (name: string) => join(folder, 'schemas', `${name}.draft`)
    mkdirSync(draft('cannot-be-removed'))
    for (const name of ['left', 'being-written']) writeFileSync(draft(name), '{"registry":')
    const longAgo = Date.now() / 1000 - 2 * 3_600
    for (const name of ['left', 'cannot-be-removed']) utimesSync(draft(name), longAgo, longAgo)
    await goAway()
    expect(await open().idOf(subject, schema)).toBe(7)
    const drafts = readdirSync(join(folder, 'schemas')).filter(name => name.endsWith('.draft'))
    expect(drafts.sort()).toEqual(['being-written.draft', 'cannot-be-removed.draft'])
  })

  it('asks first: a registry that refuses has the word', async () => {
    await open().idOf(subject, schema)
    registry.refuses = true
    await expect(open().idOf(subject, schema)).rejects.toThrow(/not compatible/)
    registry.refuses = false
    registry.id = 9
    expect(await open().idOf(subject, schema)).toBe(9)
  })

  it('writes no more when the registry comes back and gives another id', async () => {
    await open().idOf(subject, schema)
    const port = Number(new URL(url).port)
    await goAway()
    const clock = new HandClock()
    const later = open({ clock })
    const id = later.idOf(subject, schema)
    expect(await id).toBe(7)
    later.check()
    registry.id = 8
    await listen(port)
    const refused = () => {
      try {
        later.check()
        return undefined
      } catch (error) {
        return error
      }
    }
    const error = await until('it is noticed', () => {
      clock.move(20_000)
      return refused()
    })
    expect(error).toMatchObject({ code: 'config-invalid' })
  })
})
