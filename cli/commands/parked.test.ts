import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { runningFile } from '../running.ts'
import { actOnParked } from './parked.ts'

it('tries all the others again where one is refused, and says which was', async () => {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'raylog-parked-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const refused = request.url?.includes('pk_1')
    response.writeHead(refused ? 400 : 200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(refused ? { code: 'bad-request', title: 'no', detail: 'The log no longer has it.' } : {}),
    )
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
  await actOnParked({ file: null, env: {}, set: [`data=${folder}`] }, 'retry', ['pk_1', 'pk_2'])
  expect(asked).toEqual(['/api/v1/parked/pk_1/retry', '/api/v1/parked/pk_2/retry'])
  expect(refusals.mock.calls).toEqual([['pk_1: The log no longer has it.']])
  expect(said.mock.calls).toEqual([['pk_2 is tried again']])
  expect(process.exitCode).toBe(1)
})
