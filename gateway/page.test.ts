import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { dicomwebServices } from '../schemas/dicomweb.ts'
import { bearer, type Started, startGateway } from '../tests/gateway/kit.ts'

let gateway: Started
beforeAll(async () => {
  gateway = await startGateway({ settings: { pageFolder: '/nonexistent' } })
})
afterAll(() => gateway?.[Symbol.asyncDispose]())

describe('the page', () => {
  const html = { accept: 'text/html' }

  it('that is not built says how to build it, at each of its paths, without a token', async () => {
    for (const path of ['/', '/studies/st_0001']) {
      const answer = await fetch(new URL(path, gateway.url), { headers: html })
      expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('not built')])
    }
  })

  it.each(['/api/v1/nothing', '/docs/nothing', '/live', '/dicomweb/studies', '/file.js', '/assets/x.js'])(
    'does not stand at %s',
    async path => {
      const answer = await fetch(new URL(path, gateway.url), { headers: html })
      expect([401, 404]).toContain(answer.status)
      expect(answer.headers.get('content-type')).toContain('application/problem+json')
      await answer.text()
    },
  )
})

describe('a built page', () => {
  it('is served with its files, and nothing beside its folder', async () => {
    const root = await mkdtemp(join(tmpdir(), 'raylog-page-'))
    const folder = join(root, 'dist')
    await mkdir(join(folder, 'assets'), { recursive: true })
    await writeFile(join(root, 'secret.txt'), 'Canary')
    await writeFile(join(folder, 'index.html'), '<!doctype html><title>shell</title>')
    await writeFile(join(folder, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>')
    await writeFile(join(folder, 'assets/app-1.js'), 'app()')
    await using built = await startGateway({ settings: { pageFolder: folder } })
    const look = async (path: string) => {
      const answer = await fetch(built.url + path, { headers: { accept: 'text/html' } })
      return { status: answer.status, cache: answer.headers.get('cache-control'), text: await answer.text() }
    }
    expect(await look('/')).toMatchObject({ status: 200, cache: 'no-cache', text: expect.stringContaining('shell') })
    expect(await look('/studies/st_1')).toMatchObject({ status: 200, text: expect.stringContaining('shell') })
    expect(await look('/assets/app-1.js')).toMatchObject({ status: 200, cache: expect.stringContaining('immutable') })
    expect(await look('/icon.svg')).toMatchObject({ status: 200, cache: 'no-cache' })
    for (const path of [
      '/..%2fsecret.txt',
      '/assets/..%2f..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/assets/../../secret.txt',
      '/assets/',
      '/assets/none.js',
    ])
      expect([path, await look(path)]).toMatchObject([
        path,
        { status: 404, text: expect.not.stringContaining('Canary') },
      ])
    await rm(root, { recursive: true })
  })
})

describe('the OpenAPI document', () => {
  const operation = z.looseObject({
    responses: z.record(z.string(), z.looseObject({ description: z.string() })),
    parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })).optional(),
    summary: z.string(),
  })
  const document = z.looseObject({
    openapi: z.literal('3.1.1'),
    info: z.looseObject({ title: z.string(), version: z.string() }),
    paths: z.record(z.string(), z.record(z.string(), operation)),
  })

  it('lists every route with its parameters, answers and problems, and every reference in it resolves', async () => {
    const answer = await fetch(new URL('/docs/json', gateway.url), { headers: bearer })
    const json: unknown = await answer.json()
    const { paths } = document.parse(json)
    const routes = `about instances instances/{id} instances/{id}/explain instances/{id}/preview instances/{id}/object studies
      studies/{id} predictions predictions/{id} predictions/{id}/explanation reports reports/{id} reports/{id}/object stats models
      parked parked/{id}/retry parked/{id}/drop parked/retry monitoring/health monitoring/lag endpoints log/topics
      predictions/{id}/feedback worklist expected studies/{id}/complete studies/{id}/reviewed replays replays/plan replays/arrivals replays/{id} replays/{id}/pause replays/{id}/resume
      replays/{id}/cancel replays/{id}/comparison replays/{id}/comparison.csv replays/{id}/flips replays/{id}/gone audit retrievals
      retrievals/{id} retrievals/{id}/pause retrievals/{id}/resume retrievals/{id}/cancel deliveries deliveries/queues
      deliveries/{id} reports/resend studies/{id}/reports notifications notifications/push notifications/push/{id}
      notifications/{id} notifications/{id}/acknowledge notifications/{id}/seen`
    // STOW-RS belongs to a producer.
    const dicomweb = dicomwebServices
      .filter(({ method }) => method === 'GET')
      .flatMap(({ paths }) => paths.map(path => `/dicomweb${path.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{*}')}`))
    const api = routes.split(/\s+/).map(path => `/api/v1/${path}`)
    const expected = [...new Set([...api, ...dicomweb, '/healthz', '/metrics'])]
    expect(Object.keys(paths).toSorted()).toEqual(expected.toSorted())
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { parameters = [], responses }] of Object.entries(operations)) {
        const inPath = parameters.filter(parameter => parameter.in === 'path').map(({ name }) => `{${name}}`)
        expect(inPath).toEqual(path.match(/\{[\w*]+\}/g) ?? [])
        expect(Object.keys(responses)).toContain(
          method === 'post' && /\/(replays|retrievals|push)$/.test(path) ? '201' : '200',
        )
        if (path !== '/healthz') expect(Object.keys(responses)).toContain('4XX')
      }
    }
    const references = [...JSON.stringify(json).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, pointer = '']) => pointer)
    for (const pointer of references) {
      const target = pointer.split('/').reduce<unknown>((at, key) => Reflect.get(Object(at), key), json)
      expect([pointer, target]).not.toContain(undefined)
    }
  })
})
