import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { runningFile } from '../running.ts'
import { actOnParked } from './parked.ts'

it('tries all the others again where one is refused or gone, and says which was', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'raylog-parked-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const asked: string[] = []
  const answers: Record<string, [status: number, body: object]> = {
    pk_1: [400, { code: 'bad-request', title: 'no', detail: 'The log no longer has it.' }],
    pk_2: [404, { code: 'not-found', title: 'no', detail: 'Nothing of this id.' }],
  }
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const [, id = ''] = /(pk_\d)/.exec(request.url ?? '') ?? []
    const [status, body] = answers[id] ?? [200, {}]
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  stack.defer(() => new Promise<void>(resolve => server.close(() => resolve())))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  await writeFile(join(folder, runningFile), JSON.stringify({ url, pid: 1 }))
  await writeFile(join(folder, 'token'), 'a-token-of-more-than-16-characters')
  const quiet = (name: 'log' | 'error') => vi.spyOn(console, name).mockImplementation(() => undefined)
  const [said, refusals] = [quiet('log'), quiet('error')]
  stack.defer(() => {
    vi.restoreAllMocks()
  })
  stack.defer(() => {
    process.exitCode = undefined
  })
  await actOnParked({ file: null, env: {}, set: [`data=${folder}`] }, 'retry', ['pk_1', 'pk_2', 'pk_3'])
  expect(asked).toEqual([1, 2, 3].map(n => `/api/v1/parked/pk_${n}/retry`))
  expect(refusals.mock.calls).toEqual([['pk_1: The log no longer has it.'], ['pk_2: Nothing of this id.']])
  expect(said.mock.calls).toEqual([['pk_3 is tried again']])
  expect(process.exitCode).toBe(1)
})
